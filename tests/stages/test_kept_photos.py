"""Pipelines that keep the photo for a refiner."""

import copy

import pytest

from luss.errors import LussError
from luss.stages.kept_photos import keeping_photo, require_photo

LOAD, KEEP, RESIZE = ({"type": name} for name in ("LoadRGBImage", "KeepPhoto", "ResizeShortSide"))


def loaders(*pipelines):
    return {str(i): {"dataset": {"pipeline": each}} for i, each in enumerate(pipelines)}


def test_photos_are_kept_as_they_were_loaded():
    """Of all data loaders, and once."""
    given = loaders([LOAD, RESIZE], [RESIZE, LOAD, RESIZE], [LOAD, RESIZE, KEEP])
    before = copy.deepcopy(given)
    kept = keeping_photo(given, "stages.evaluate")
    assert kept == loaders([LOAD, KEEP, RESIZE], [RESIZE, LOAD, KEEP, RESIZE], [LOAD, RESIZE, KEEP])
    assert given == before
    assert keeping_photo(kept, "stages.evaluate") == kept
    require_photo(kept, "stages.evaluate")


def test_a_pipeline_that_loads_no_photo_is_rejected():
    with pytest.raises(LussError, match=r"stages\.evaluate\.test_dataloader.*type='KeepPhoto'"):
        keeping_photo(loaders([LOAD], [RESIZE]), "stages.evaluate")


def test_a_pipeline_that_keeps_no_photo_is_rejected():
    with pytest.raises(LussError, match=r"stages\.evaluate\.refiner"):
        require_photo(loaders([LOAD, KEEP], [LOAD]), "stages.evaluate")
