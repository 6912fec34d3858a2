import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from luss.datasets.mask_codec import write_mask


@pytest.fixture
def write_image():
    """Function that writes a photo of noise and returns its pixels."""

    def write(path, width=12, height=9, seed=0):
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        return pixels

    return write


@pytest.fixture
def png_header():
    """Function from width and height to the first bytes of a grey PNG of that size."""

    def header(width, height):
        chunks = {b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0), b"IDAT": b""}
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks.items()
        )

    return header


@pytest.fixture
def split_root(tmp_path, write_image):
    """A split root of three classes; one validation image has no mask."""
    for number, name in enumerate(["n03", "n01", "n02"]):
        for index in range(3):
            write_image(tmp_path / "train" / name / f"{name}_{index}.JPEG")
        for index in range(2):
            write_image(tmp_path / "validation" / name / f"val_{number}{index}.JPEG")
            mask = np.full((9, 12), int(name[1:]))
            mask[0] = 1000
            write_mask(
                tmp_path / "validation-segmentation" / name / f"val_{number}{index}.png", mask
            )
    (tmp_path / "validation-segmentation" / "n02" / "val_21.png").unlink()
    return tmp_path
