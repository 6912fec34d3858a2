"""What training says of data that can be read, but are probably wrong."""

import logging

import numpy as np
import pytest
from mmengine import Config
from mmengine.logging import MMLogger
from PIL import Image

from luss.pipeline.context import Context
from luss.pipeline.work_dir import WorkDir
from luss.planning.survey import data_settings
from luss.stages.sound_masks import require_sound_masks, warn_of_photos


@pytest.fixture
def warnings():
    """Messages of warnings, as they are logged."""
    logged = []

    class Keep(logging.Handler):
        def emit(self, record):
            logged.append(record.getMessage())

    logger, handler = MMLogger.get_current_instance(), Keep(logging.WARNING)
    logger.addHandler(handler)
    yield logged
    logger.removeHandler(handler)


@pytest.fixture
def shifted(tmp_path):
    """Two photos, alike, and their masks, in which 0 is the first of two classes."""
    for name in ("images", "masks"):
        (tmp_path / "data" / name).mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    for number in range(2):
        Image.fromarray(pixels).save(tmp_path / "data" / "images" / f"{number}.png")
        mask = Image.fromarray(np.full((4, 6), number, np.uint8))
        mask.save(tmp_path / "data" / "masks" / f"{number}.png")
    (tmp_path / "data" / "classes.txt").write_text("cat\ndog\n")
    return tmp_path / "data"


def test_training_warns_once_of_masks_and_photos(shifted, tmp_path, warnings):
    context = Context(Config({"data_root": str(shifted)}), WorkDir(tmp_path / "run"))
    for _ in range(2):
        require_sound_masks(context, "validation")
        warn_of_photos(context, {"split": "train"})
    doubts = [line for line in warnings if "TRAINING photos" not in line]
    assert len(doubts) == 2
    assert doubts[0].startswith("validation: class 2 ('dog') occurs in no mask")
    assert "data.mask_id_shift=1" in doubts[0]
    assert "1 photo is a byte-identical copy" in doubts[1]


def test_the_remedy_is_an_option(shifted, tmp_path, warnings):
    chosen = data_settings({"data.mask_id_shift": 1, "data.classes": ["a", "b"], "seed": 3})
    config = {"data": chosen, "data_root": str(shifted)}
    context = Context(Config(config), WorkDir(tmp_path / "run"))
    require_sound_masks(context, "validation")
    assert not [line for line in warnings if "TRAINING photos" not in line]
    assert context.description.classes == ("a", "b")
