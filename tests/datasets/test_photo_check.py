"""Warnings about photos that can all be read but are probably wrong."""

import cv2
import numpy as np
import pytest
from PIL import Image

from luss.datasets import ImageNetS, PhotoFolder
from luss.datasets.image_io import image_header
from luss.datasets.photo_check import doubt_of_empty, identical_photos, quick_doubts


def write_deep(path, bits, colour=False, seed=0):
    """A photo of 16 bits with values of ``bits`` bits."""
    path.parent.mkdir(exist_ok=True)
    shape = (6, 8, 3) if colour else (6, 8)
    values = np.random.default_rng(seed).integers(0, 2**bits, shape, dtype=np.uint16)
    values.flat[0] = 2**bits - 1
    assert cv2.imwrite(str(path), values)


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_small_part_of_16_bits(tmp_path, suffix, colour):
    for number, bits in enumerate((10, 12, 12)):
        write_deep(tmp_path / f"{number}.{suffix}", bits, colour, number)
    assert image_header(tmp_path / f"0.{suffix}").deep
    (doubt,) = quick_doubts(PhotoFolder(str(tmp_path)))
    assert "3 photos have 16 bits per channel but no value above 4095" in doubt
    assert "16 of 256 levels" in doubt and "by 16," in doubt
    # Multiplied as it says, they are no longer dim.
    for path in tmp_path.iterdir():
        values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(path), values * 16)
    assert quick_doubts(PhotoFolder(str(tmp_path))) == []


def test_one_dark_photo_among_bright_ones_is_none(tmp_path):
    for number, bits in enumerate((12, 16, 16)):
        write_deep(tmp_path / f"{number}.png", bits, seed=number)
    assert quick_doubts(PhotoFolder(str(tmp_path))) == []


def test_dark_photos_of_8_bit_are_none(tmp_path):
    for level in (1, 2):
        path = tmp_path / f"{level}.png"
        Image.fromarray(np.full((4, 4, 3), level, np.uint8)).save(path)
        assert not image_header(path).deep
    assert quick_doubts(PhotoFolder(str(tmp_path))) == []


def test_copies(tmp_path):
    contents = {
        "a": b"x" * 20_000,
        "b": b"x" * 20_000,
        "c": b"x" * 19_999 + b"y",
        "d": b"x",
        "e": b"x",
    }
    paths = []
    for name, content in contents.items():
        paths.append(str(tmp_path / name))
        (tmp_path / name).write_bytes(content)
    a, b, _, d, e = paths
    assert identical_photos([*paths, a, str(tmp_path / "gone")]) == [[a, b], [d, e]]
    assert identical_photos([]) == []


def test_copies_in_a_folder_are_named(tmp_path, write_image):
    write_image(tmp_path / "one.png", seed=1)
    for name in ("two.png", "copy.png"):
        write_image(tmp_path / name, seed=2)
    (doubt,) = quick_doubts(PhotoFolder(str(tmp_path)))
    assert "1 photo is a byte-identical copy" in doubt
    assert f"{tmp_path}/copy.png = {tmp_path}/two.png" in doubt


def test_categories_without_a_photo(split_root):
    dataset = ImageNetS(str(split_root))
    assert doubt_of_empty(dataset, ("n01", "n02", "n03")) is None
    said = doubt_of_empty(dataset, ("n01", "n02", "n03", "unicorn"))
    assert "1 of 4 categories have no photo: unicorn" in said
