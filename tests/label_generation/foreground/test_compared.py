"""Sources that are compared with each other, by name."""

import numpy as np
import pytest
from PIL import Image

from luss.errors import LussError
from luss.label_generation.foreground import LazyPhoto
from luss.label_generation.foreground.compared import (
    COMBINATIONS,
    build_to_compare,
    sources_to_compare,
)
from luss.registry import FOREGROUND_SOURCES


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return LazyPhoto("photo", str(tmp_path / "photo.png"))


def test_registered_sources_without_settings_and_combinations_are_known():
    known = sources_to_compare()
    assert {"Attention", "BoundaryPrior", "CentrePrior", "FeatureCut"} < known.keys()
    assert known.keys() >= COMBINATIONS.keys()
    # These need a folder, or other sources.
    assert not {"FolderOfMaps", "MeanOfMaps", "PAMR"} & known.keys()


def test_those_of_a_model_and_of_attention_can_be_left_out():
    of_photos = sources_to_compare(with_model=False)
    assert all(not FOREGROUND_SOURCES.build(config).needs_model for config in of_photos.values())
    assert "boundary-centre" in of_photos
    without = sources_to_compare(model_parts={"backbone"})
    assert "FeatureCut" in without
    assert not {"Attention", "attention-photo-ranks", "C2AM"} & without.keys()
    of_attention = sources_to_compare(model_parts={"attention"})
    assert {"Attention", "attention-photo-ranks"} < of_attention.keys()
    assert "C2AM" not in of_attention


def test_names_choose_in_their_order_and_unknown_ones_are_rejected():
    chosen = sources_to_compare(["cut-centre", "BoundaryPrior"])
    assert list(chosen) == ["cut-centre", "BoundaryPrior"]
    with pytest.raises(LussError, match=r"'PAMR' to compare.*known are: .*BoundaryPrior"):
        sources_to_compare(["PAMR"])


def test_shared_parts_give_the_maps_of_sources_built_alone(photo):
    configs = {name: COMBINATIONS[name] for name in ("boundary-centre", "photo-ranks-pamr")}
    together = build_to_compare(configs | {"centre": {"type": "CentrePrior"}})
    for name, config in configs.items():
        assert np.array_equal(together[name](photo), FOREGROUND_SOURCES.build(config)(photo))


def test_a_part_looks_at_a_photo_once(photo):
    looks = []

    @FOREGROUND_SOURCES.register_module(force=True)
    class CountingSource(type(FOREGROUND_SOURCES.build({"type": "CentrePrior"}))):
        def __call__(self, photo):
            looks.append(photo)
            return super().__call__(photo)

    try:
        counting, centre = {"type": "CountingSource"}, {"type": "CentrePrior"}
        joined = {"type": "MeanOfMaps", "sources": [counting, centre]}
        sources = build_to_compare({"plain": counting, "joined": joined})
        other = LazyPhoto("other", photo.path)
        for each in (photo, other):
            for source in sources.values():
                source(each)
        assert looks == [photo, other]
    finally:
        FOREGROUND_SOURCES.module_dict.pop("CountingSource")
