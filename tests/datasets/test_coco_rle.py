"""Run lengths against a decoder written from COCO's definition, and texts of COCO's own API."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luss.datasets.coco_rle import encode_rle


def decode(rle):
    """Character by character, run by run."""
    height, width = rle["size"]
    runs, place = [], 0
    while place < len(rle["counts"]):
        number, shift, more = 0, 0, True
        while more:
            group = ord(rle["counts"][place]) - 48
            number |= (group & 31) << shift
            more, shift, place = bool(group & 32), shift + 5, place + 1
            if not more and group & 16:
                number -= 1 << shift
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
    flat, inside = [], False
    for run in runs:
        flat += run * [inside]
        inside = not inside
    return np.array(flat, bool).reshape(width, height).T


@settings(max_examples=150, deadline=None)
@given(
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    block=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    share=st.sampled_from([0, 0.02, 0.5, 0.98, 1]),
    seed=st.integers(0, 999),
)
def test_decoding_gives_the_mask_back(size, block, share, seed):
    cells = np.random.default_rng(seed).random(size) < share
    mask = np.kron(cells, np.ones(block))[: 4 * size[0], : 4 * size[1]] > 0
    rle = encode_rle(mask)
    assert rle["size"] == list(mask.shape)
    assert np.array_equal(decode(rle), mask)


@pytest.mark.parametrize(
    ("mask", "counts"),
    [
        (np.array([[0, 1, 1], [0, 1, 0]], bool), "231"),
        (np.eye(4, dtype=bool), "01400000"),
        (np.pad(np.ones((40, 5), bool), ((5, 7), (3, 90))), "Q5X1<0000000Sb4"),
    ],
)
def test_texts_are_those_of_pycocotools(mask, counts):
    assert encode_rle(mask)["counts"] == counts
