import os

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from luss.datasets.mask_codec import (
    IGNORE_ID,
    decode_mask,
    encode_mask,
    read_item_mask,
    read_mask,
    write_mask,
)
from luss.errors import LussError

ids_arrays = arrays(
    np.int64,
    array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9),
    elements=st.integers(0, 65535),
)


@given(ids_arrays)
def test_decoding_undoes_encoding(ids):
    np.testing.assert_array_equal(decode_mask(encode_mask(ids)), ids)


@given(ids_arrays)
def test_encoding_is_red_plus_256_green(ids):
    rgb = encode_mask(ids).astype(np.int64)
    np.testing.assert_array_equal(rgb[..., 0] + 256 * rgb[..., 1], ids)
    assert not rgb[..., 2].any()


def test_written_masks_are_read_back_and_seen_alike_by_pil(tmp_path):
    ids = np.array([[0, 1, 255], [256, 919, IGNORE_ID]], np.int16)
    write_mask(tmp_path / "deep" / "mask.png", ids)
    np.testing.assert_array_equal(read_mask(tmp_path / "deep" / "mask.png"), ids)
    rgb = np.asarray(Image.open(tmp_path / "deep" / "mask.png")).astype(int)
    np.testing.assert_array_equal(rgb[..., 0] + 256 * rgb[..., 1], ids)
    assert read_mask(tmp_path / "deep" / "mask.png").dtype == np.int32


def test_a_single_channel_holds_plain_ids(tmp_path):
    ids = np.array([[0, 1, 7], [200, 255, 3]], np.uint8)
    Image.fromarray(ids).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "grey.png"), ids)
    Image.fromarray(ids).convert("LA").save(tmp_path / "alpha.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "alpha.png"), ids)
    wide = ids.astype(np.uint16) * 4
    Image.fromarray(wide).save(tmp_path / "wide.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "wide.png"), wide)
    Image.fromarray(ids > 5).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "bits.png"), ids > 5)


def test_an_rgba_mask_is_read_without_its_alpha(tmp_path):
    ids = np.array([[1, 300]])
    Image.fromarray(encode_mask(ids)).convert("RGBA").save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), ids)


@pytest.mark.parametrize("kept", [10, 40, 0.5, -3])
def test_a_truncated_mask_is_named(tmp_path, kept):
    path = tmp_path / "mask.png"
    write_mask(path, np.arange(30 * 40).reshape(30, 40))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    with pytest.raises(LussError, match=r"mask\.png"):
        read_mask(path)


def test_what_is_no_mask_is_refused(tmp_path):
    grey = np.full((4, 4), 9, np.uint8)
    Image.fromarray(grey).save(tmp_path / "photo.jpg")
    with pytest.raises(LussError, match="not a PNG"):
        read_mask(tmp_path / "photo.jpg")
    Image.merge("RGB", [Image.fromarray(grey)] * 3).save(tmp_path / "picture.png")
    with pytest.raises(LussError, match="blue"):
        read_mask(tmp_path / "picture.png")
    cv2.imwrite(str(tmp_path / "deep.png"), np.zeros((4, 4, 3), np.uint16))
    with pytest.raises(LussError, match="16 bit"):
        read_mask(tmp_path / "deep.png")
    with pytest.raises(LussError, match="No such file"):
        read_mask(tmp_path / "absent.png")


@pytest.mark.parametrize(
    "ids",
    [np.zeros((2, 2)), np.zeros((2, 2, 1), int), np.array([[-1]]), np.array([[65536]])],
    ids=["float", "3-d", "negative", "too large"],
)
def test_what_cannot_be_encoded_is_refused(tmp_path, ids):
    with pytest.raises(LussError):
        write_mask(tmp_path / "mask.png", ids)
    assert not list(tmp_path.iterdir())


def test_a_size_beyond_any_photo_is_refused_before_decoding(tmp_path):
    path = tmp_path / "mask.png"
    write_mask(path, np.zeros((4, 4), int))
    content = bytearray(path.read_bytes())
    content[16:24] = (40_000).to_bytes(4, "big") * 2
    path.write_bytes(content)
    with pytest.raises(LussError, match="declares 40000 x 40000 pixels"):
        read_mask(path)


def test_a_pipe_is_no_mask(tmp_path):
    os.mkfifo(tmp_path / "mask.png")
    with pytest.raises(LussError, match="not a regular file"):
        read_mask(tmp_path / "mask.png")


@pytest.mark.parametrize("count", [2, 4, 16, 256])
def test_indices_of_a_palette(tmp_path, count):
    """1, 2, 4 and 8 bits a pixel."""
    ids = np.random.default_rng(count).integers(0, count, (9, 13), dtype=np.uint8)
    image = Image.fromarray(ids, "P")
    image.putpalette(np.random.default_rng(1).integers(0, 256, 3 * count, np.uint8).tobytes())
    image.save(tmp_path / "mask.png", bits=int(count).bit_length() - 1)
    expected = np.where(ids == 255, IGNORE_ID, ids)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", "index"), expected)
    content = (tmp_path / "mask.png").read_bytes()
    (tmp_path / "mask.png").write_bytes(content[:-30])
    with pytest.raises(LussError, match="damaged"):
        read_mask(tmp_path / "mask.png", "index")


def test_channels_and_colours_as_indices(tmp_path):
    ids = np.array([[0, 3], [255, 254]])
    Image.fromarray(ids.astype(np.uint8)).save(tmp_path / "grey.png")
    expected = [[0, 3], [IGNORE_ID, 254]]
    np.testing.assert_array_equal(read_mask(tmp_path / "grey.png", "index"), expected)
    write_mask(tmp_path / "colours.png", np.array([[0, 3], [255, 1000]]))
    as_colours = read_mask(tmp_path / "colours.png", "index")
    np.testing.assert_array_equal(as_colours, [[0, 3], [255, IGNORE_ID]])
    item = {"seg_map_path": tmp_path / "grey.png"}
    np.testing.assert_array_equal(read_item_mask(item), ids)
    np.testing.assert_array_equal(read_item_mask({**item, "mask_encoding": "index"}), expected)
    with pytest.raises(LussError, match=r"mask_encoding is 'voc'.*'rgb' or 'index'"):
        read_item_mask({**item, "mask_encoding": "voc"})
