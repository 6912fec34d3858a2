"""Rectangles of RandomResizedCrop, drawn by the released code with Python's random numbers."""

import random

import numpy as np

from luss.datasets.transforms.crop_rectangle import draw_crop_rectangle


def test_rectangles_equal_the_released_ones(golden):
    expected = golden("crop_params.npz")
    random.seed(int(expected["python_random_seed"]))
    for case in "ab":
        width, height = map(int, expected[f"image_wh_{case}"])
        scale = tuple(map(float, expected[f"scale_{case}"]))
        drawn = [draw_crop_rectangle(width, height, scale) for _ in expected[f"ijhw_{case}"]]
        np.testing.assert_array_equal(drawn, expected[f"ijhw_{case}"])
