import numpy as np
import pytest
from PIL import Image

from luss.datasets.image_io import read_image, split_suffix
from luss.errors import LussError


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)


def test_rgb_is_read_as_it_was_written(tmp_path, noise):
    Image.fromarray(noise).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), noise)


@pytest.mark.parametrize("mode", ["L", "1", "RGBA", "LA", "CMYK"])
def test_every_mode_becomes_rgb(tmp_path, noise, mode):
    image = Image.fromarray(noise).convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    image.save(path)
    np.testing.assert_array_equal(read_image(path), np.asarray(image.convert("RGB")))


def test_a_palette_is_looked_up(tmp_path):
    colours = np.array([[10, 20, 30], [200, 100, 50]], np.uint8)
    index = np.array([[0, 1], [1, 0]], np.uint8)
    image = Image.new("P", (2, 2))
    image.putpalette(colours.tobytes())
    image.putdata(index.ravel().tolist())
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), colours[index])


def test_16_bit_grey_keeps_its_tones(tmp_path):
    grey = np.array([[0, 257, 40000, 65535]], np.uint16)
    Image.fromarray(grey).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[0, :, 0], [0, 1, 156, 255])


def test_exif_does_not_rotate(tmp_path, noise):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise).save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").shape == noise.shape


@pytest.mark.parametrize("kept", [0, 3, 0.3, 0.6, 0.95])
def test_a_truncated_jpeg_is_named(tmp_path, noise, kept):
    path = tmp_path / "cut.jpg"
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    with pytest.raises(LussError, match=r"cut\.jpg"):
        read_image(path)


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(LussError, match=r"absent\.jpg"):
        read_image(tmp_path / "absent.jpg")


@pytest.mark.parametrize(
    ("name", "parts"),
    [("a/b.JPEG", ("a/b", ".jpeg")), ("a.b.png", ("a.b", ".png")), ("a", ("a", ""))],
)
def test_suffixes_are_split_off_in_lower_case(name, parts):
    assert split_suffix(name) == parts
