"""Hypothesis strategies for predictions and truths."""

import numpy as np
from hypothesis import strategies as st

IGNORE = 1000


@st.composite
def mask(draw, shape, ids):
    """A mask of rectangles on a ground, among them single pixels, sometimes plain noise."""
    height, width = shape
    if draw(st.integers(0, 4)) == 0:
        values = st.lists(st.sampled_from(ids), min_size=height * width, max_size=height * width)
        return np.array(draw(values), np.int32).reshape(shape)
    array = np.full(shape, draw(st.sampled_from(ids)), np.int32)
    for _ in range(draw(st.integers(0, 4))):
        top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        bottom = top + (1 if draw(st.booleans()) else draw(st.integers(1, height)))
        right = left + (1 if draw(st.booleans()) else draw(st.integers(1, width)))
        array[top:bottom, left:right] = draw(st.sampled_from(ids))
    return array


@st.composite
def shapes(draw, largest=16):
    height, width = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    return draw(st.sampled_from([(height, width), (1, width), (height, 1), (1, 1)]))


@st.composite
def pairs(draw, num_generated, num_classes, max_images=4):
    """A list of (prediction, truth) of one size each; truths hold ignored pixels."""
    generated = list(range(num_generated + 1))
    true = [*range(num_classes + 1), IGNORE]
    images = []
    for _ in range(draw(st.integers(1, max_images))):
        shape = draw(shapes())
        images.append((draw(mask(shape, generated)), draw(mask(shape, true))))
    return images
