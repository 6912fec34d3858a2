import os
import warnings

import numpy as np
import pytest
from PIL import Image

from luss.datasets.image_io import (
    IMAGE_SUFFIXES,
    TooLargeImageError,
    UnreadableImageError,
    image_header,
    read_image,
    split_suffix,
)
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


def test_floating_point_values_span_0_to_1(tmp_path):
    grey = np.array([[0, 0.2, 0.5, 1]], np.float32)
    Image.fromarray(grey).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[0, :, 1], [0, 51, 128, 255])


@pytest.mark.parametrize(
    ("grey", "message"),
    [
        (np.array([[0, 255]], np.float32), "values from 0 to 255, expected 0 to 1"),
        (np.array([[-0.5, 1]], np.float32), "values from -0.5 to 1"),
        (np.array([[0, np.nan]], np.float32), "nan"),
        (np.array([[0, 255]], np.int32), "32-bit integers"),
    ],
)
def test_values_of_unknown_range_are_refused(tmp_path, grey, message):
    Image.fromarray(grey).save(tmp_path / "a.tif")
    with pytest.raises(UnreadableImageError, match=rf"a\.tif: .*{message}"):
        read_image(tmp_path / "a.tif")


def test_16_bit_of_a_portable_map_keep_their_tones(tmp_path):
    grey = np.array([[0, 257, 40000, 65535]], ">u2")
    (tmp_path / "a.pgm").write_bytes(b"P5 4 1 65535\n" + grey.tobytes())
    np.testing.assert_array_equal(read_image(tmp_path / "a.pgm")[0, :, 0], [0, 1, 156, 255])


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_transparent_photos_are_laid_on_white(tmp_path, mode):
    colours = np.full((2, 3, 4), 80, np.uint8)
    colours[..., 3] = [[255, 0, 51], [0, 255, 51]]
    image = Image.fromarray(colours)
    # Over white: 0.2 * 80 + 0.8 * 255 = 220.
    expected = np.array([[80, 255, 220], [255, 80, 220]])
    path = tmp_path / "a.png"
    if mode in ("P", "PA"):
        paletted = Image.new("P", (3, 2))
        paletted.putpalette([80] * 9)
        paletted.putdata([0, 1, 2, 1, 0, 2])
        if mode == "P":
            paletted.save(path, transparency=bytes([255, 0, 51]))
        else:
            paletted.convert("PA").save(tmp_path / "a.tif")
            path, expected = tmp_path / "a.tif", np.full((2, 3), 80)
    else:
        image.convert(mode).save(path)
    np.testing.assert_array_equal(read_image(path)[..., 2], expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_upright_only_where_asked_for(tmp_path, orientation):
    # 0 1 2   is what the camera saw, upright.
    # 3 4 5
    upright = np.array([[0, 1, 2], [3, 4, 5]], np.uint8) * 50
    # EXIF: where row 0 and column 0 of the stored array lie in what was seen.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.png"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif)
    np.testing.assert_array_equal(read_image(path)[..., 0], stored)
    np.testing.assert_array_equal(read_image(path, upright=True)[..., 0], upright)
    assert image_header(path).shape == stored.shape


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_tiff_files_are_turned_once(tmp_path, compression):
    upright = np.array([[0, 1, 2], [3, 4, 5]], np.uint8)
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(upright)))
    stored.save(tmp_path / "a.tif", tiffinfo={0x0112: 6}, compression=compression)
    for turned in (False, True):
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif", turned)[..., 0], upright)
    assert image_header(tmp_path / "a.tif").shape == (2, 3)


def test_damaged_exif_data_do_not_stop_a_photo(tmp_path, noise):
    Image.fromarray(noise).save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01")
    assert read_image(tmp_path / "a.jpg", upright=True).shape == noise.shape


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
def test_every_kind_that_counts_as_a_photo_is_read(tmp_path, noise, suffix):
    image = Image.fromarray(noise)
    image.convert("L" if suffix == ".pgm" else "RGB").save(tmp_path / f"a{suffix}")
    assert read_image(tmp_path / f"a{suffix}").shape == noise.shape


def test_the_first_picture_of_an_animation_is_read(tmp_path):
    frames = [Image.new("RGB", (4, 3), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(read_image(tmp_path / "a.gif")[0, 0], [255, 0, 0])


@pytest.mark.parametrize(
    ("width", "height", "named"),
    [(10_001, 10_000, "10001 x 10000"), (40_000, 40_000, ""), (1_048_577, 1, "1048577 x 1")],
)
def test_too_many_pixels_are_refused_before_they_are_read(
    tmp_path, png_header, width, height, named
):
    (tmp_path / "a.png").write_bytes(png_header(width, height))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for read in (read_image, image_header):
            with pytest.raises(TooLargeImageError, match=rf"a\.png .*{named}.* 100 megapixels"):
                read(tmp_path / "a.png")


def test_a_photo_of_just_below_the_limit_is_opened_without_a_warning(tmp_path, png_header):
    (tmp_path / "a.png").write_bytes(png_header(10_000, 10_000))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert image_header(tmp_path / "a.png").shape == (10_000, 10_000)


def test_a_named_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(UnreadableImageError, match=r"a\.jpg: .*not a regular file"):
        read_image(tmp_path / "a.jpg")


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
