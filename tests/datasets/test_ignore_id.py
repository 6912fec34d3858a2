"""The id of ignored pixels, as ImageNet-S's masks hold it."""

import numpy as np
from PIL import Image

from luss.datasets.mask_codec import IGNORE_ID, read_mask


def test_pixels_of_red_232_and_green_3_are_ignored(tmp_path):
    # 1000 = 232 + 256 * 3; 255 and 256 are classes.
    colours = np.array([[[232, 3, 0], [255, 0, 0], [0, 1, 0]]], np.uint8)
    Image.fromarray(colours).save(tmp_path / "mask.png")
    ids = read_mask(tmp_path / "mask.png")
    assert (ids == IGNORE_ID).tolist() == [[True, False, False]]
    assert ids.tolist() == [[1000, 255, 256]]
