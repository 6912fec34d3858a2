"""Sources that are compared with each other, by name."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from foreground_analysis.sources import SOURCES, build_sources, own_name
from luss.errors import LussError
from luss.label_generation.foreground import LazyPhoto
from luss.registry import FOREGROUND_SOURCES

CENTRE = {"type": "CentrePrior"}


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return LazyPhoto("photo", str(tmp_path / "photo.png"))


def test_sources_that_do_not_fit_the_model_are_left_out():
    without = build_sources(None, CENTRE, None)
    assert {"BoundaryPrior", "CentrePrior", "boundary-centre"} < without.keys()
    of_frame = {"FrameDistance", "frame-photo-ranks", "frame-photo-ranks-grabcut"}
    by_backbone = {"FeatureCut", "cut-centre"} | of_frame
    assert not ({"Attention", "attention-photo-ranks"} | by_backbone) & without.keys()
    of_backbone = build_sources(None, CENTRE, SimpleNamespace(backbone=None))
    assert of_backbone.keys() - without.keys() == by_backbone
    of_attention = build_sources(None, CENTRE, SimpleNamespace(backbone=None, attention=None))
    assert of_attention.keys() == SOURCES.keys()


def test_names_choose_and_the_own_source_is_added():
    chosen = build_sources(["boundary-centre", "WholePhoto"], CENTRE, None)
    assert list(chosen) == ["boundary-centre", "WholePhoto", "CentrePrior"]
    assert own_name({"type": "CentrePrior", "sigma": 0.3}) == "own (CentrePrior)"
    assert own_name(SOURCES["photo-ranks"]) == "photo-ranks"
    for name, message in (
        ("PAMR", "'PAMR'.* missing .*'source'"),
        ("None", "'None'.*BoundaryPrior"),
    ):
        with pytest.raises(LussError, match=message):
            build_sources([name], CENTRE, None)
    with pytest.raises(LussError, match="'attention'"):
        build_sources(["Attention"], CENTRE, SimpleNamespace(backbone=None))


def test_shared_parts_give_the_maps_of_sources_built_alone(photo):
    together = build_sources(["boundary-centre", "photo-ranks-pamr"], CENTRE, None)
    for name in ("boundary-centre", "photo-ranks-pamr"):
        alone = FOREGROUND_SOURCES.build(SOURCES[name])(photo)
        assert np.array_equal(together[name](photo), alone)


def test_a_part_looks_at_a_photo_once(photo):
    looks = []

    @FOREGROUND_SOURCES.register_module(force=True)
    class CountingSource(type(FOREGROUND_SOURCES.build(CENTRE))):
        def __call__(self, photo):
            looks.append(photo)
            return super().__call__(photo)

    try:
        counting = {"type": "CountingSource"}
        joined = {"type": "MeanOfRanks", "sources": [counting, CENTRE]}
        sources = build_sources(["CountingSource"], joined, None)
        other = LazyPhoto("other", photo.path)
        for each in (photo, other):
            for source in sources.values():
                source(each)
        assert looks == [photo, other]
    finally:
        FOREGROUND_SOURCES.module_dict.pop("CountingSource")
