"""The ladder on drawings whose rungs can be worked out by hand."""

import numpy as np
import pytest

from foreground_analysis.ladder import RUNGS, Ladder, nearest_ids, through_grid
from luss.datasets.mask_codec import IGNORE_ID
from luss.errors import LussError
from luss.evaluation.counting import count_image
from luss.evaluation.counts import Counts
from luss.evaluation.matching import ImageLevelMatcher
from luss.evaluation.metrics import compute_metrics

SIZE = (8, 8)


def halves(category):
    """A photo whose left half is of a category."""
    truth = np.zeros(SIZE, np.int64)
    truth[:, :4] = category
    return truth


def test_what_is_perfect_is_one_on_all_rungs_under_any_names():
    ladder = Ladder(3, 3, ImageLevelMatcher())
    names = np.array([0, 2, 3, 1])
    for category in (1, 2, 3):
        truth = halves(category)
        ladder.add(truth > 0, np.full(SIZE, names[category]), truth, SIZE)
    assert ladder.miou() == pytest.approx(dict.fromkeys(RUNGS, 100.0))


def test_true_masks_leave_the_categories_error_and_the_other_way_round():
    ladder = Ladder(2, 2, ImageLevelMatcher())
    # Masks cover all of the photo; categories of the first two photos are mixed up.
    for true, found in ((1, 2), (1, 1), (1, 1), (2, 2)):
        ladder.add(np.ones(SIZE, bool), np.full(SIZE, found), halves(true), SIZE)
    rungs = ladder.miou()
    assert rungs["ceiling"] == pytest.approx(100)
    # 'Other' whole; class 1: 2 of 3 photos; class 2: 1 photo of 2 that are called so.
    assert rungs["found_categories"] == pytest.approx(100 * (1 + 2 / 3 + 1 / 2) / 3)
    # No 'other' at all; half of what is called 1, or 2, is it.
    assert rungs["found_masks"] == pytest.approx(100 * (0 + 1 / 2 + 1 / 2) / 3)
    # Class 1: halves of 2 photos right, of 2 whole ones called so, and of one more half.
    assert rungs["both_found"] == pytest.approx(100 * (0 + 2 * 32 / (2 * 64 + 32) + 32 / 128) / 3)


def test_the_ceiling_is_that_of_the_grid():
    rng = np.random.default_rng(0)
    truth = np.kron(rng.integers(0, 3, (4, 4)), np.ones((2, 2), np.int64))
    truth[0, 0] = IGNORE_ID
    ladder = Ladder(2, 2, ImageLevelMatcher())
    ladder.add(truth > 0, np.ones(SIZE, np.int64), truth, (2, 2))
    counts = Counts.zeros(2, boundary=False)
    counts.add(count_image(through_grid(truth, (2, 2)), truth, 2, boundary=False))
    assert ladder.miou()["ceiling"] == pytest.approx(100 * compute_metrics(counts)["mIoU"])


def test_the_last_rung_is_the_metric_of_the_labels():
    rng = np.random.default_rng(1)
    ladder, counts = Ladder(3, 3, ImageLevelMatcher()), Counts.zeros(3, boundary=False)
    photos = []
    for _ in range(5):
        truth, categories = rng.integers(0, 4, SIZE), rng.integers(1, 4, SIZE)
        mask = rng.random(SIZE) < 0.6
        ladder.add(mask, categories, truth, SIZE)
        photos.append((np.where(mask, categories, 0), truth))
        counts.add(count_image(*photos[-1], 3, boundary=False))
    expected = compute_metrics(counts.matched(ImageLevelMatcher()(counts)))["mIoU"]
    assert ladder.miou()["both_found"] == pytest.approx(100 * expected)


def test_categories_that_are_left_over_count_as_other():
    # Ids 1 and 3 have the same photos; one of them is matched, the other counts as 'other'.
    ladder = Ladder(1, 3, ImageLevelMatcher())
    for found in (1, 1, 3):
        ladder.add(halves(1) > 0, np.full(SIZE, found), halves(1), SIZE)
    # Class 1: 2 of 3 photos. 'Other': 3 halves, and a half that is class 1.
    assert ladder.miou()["both_found"] == pytest.approx(100 * (2 / 3 + 3 / 4) / 2)


def test_nearest_ids_against_all_distances():
    rng = np.random.default_rng(2)
    ids = rng.choice([0, 0, 0, 0, 0, 0, 0, IGNORE_ID, 3, 7], (9, 11))
    known = np.argwhere((ids > 0) & (ids != IGNORE_ID))
    found = nearest_ids(ids)
    for place in np.ndindex(ids.shape):
        distances = np.linalg.norm(known - place, axis=1)
        nearest = {ids[tuple(each)] for each in known[distances == distances.min()]}
        assert found[place] in nearest
    assert not nearest_ids(np.zeros((3, 3), int)).any()
    assert not nearest_ids(np.full((3, 3), IGNORE_ID)).any()


def test_what_does_not_fit_is_refused():
    ladder = Ladder(2, 2, ImageLevelMatcher())
    with pytest.raises(LussError, match=r"\(2, 2\), \(2, 3\)"):
        ladder.add(np.ones((2, 2), bool), np.ones((2, 3), int), np.ones((2, 2), int), (1, 1))
    with pytest.raises(LussError, match="no image"):
        ladder.miou()
