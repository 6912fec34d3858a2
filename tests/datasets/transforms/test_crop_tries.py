"""How many rectangles are tried before the centre is taken, told by the numbers that were drawn."""

import random

from luss.datasets.transforms.crop_rectangle import draw_crop_rectangle


def test_ten_rectangles_are_tried():
    random.seed(0)
    # A rectangle of nine tenths of a narrow photo fits with no allowed ratio.
    draw_crop_rectangle(10, 1000, (0.9, 1.0))
    state = random.getstate()
    random.seed(0)
    for _ in range(10):
        random.random()  # area
        random.random()  # aspect ratio
    assert random.getstate() == state
