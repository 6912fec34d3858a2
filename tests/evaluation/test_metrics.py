"""Every metric against the plain reference, and properties of the counts."""

import numpy as np
import pytest
from boundaries import boundary_ids
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mask_strategies import mask, pairs, shapes
from plain_metrics import boundary, cooccurrence, metrics

from luss.errors import LussError
from luss.evaluation.boundary import dilate
from luss.evaluation.counting import count_image
from luss.evaluation.counts import Counts
from luss.evaluation.matching import apply_match
from luss.evaluation.metrics import (
    absent_classes,
    compute_metrics,
    per_class_iou,
    per_class_table,
    to_percent,
)
from luss.label_generation.threshold_search import ThresholdSearch

CLASSES = 4


def count(images, num_classes=CLASSES, num_generated=None, with_boundary=True):
    counts = Counts.zeros(num_classes, num_generated, with_boundary)
    for prediction, truth in images:
        counts.add(count_image(prediction, truth, num_classes, num_generated, with_boundary))
    return counts


def evaluable(images):
    """Images of which something can be evaluated; others are refused, see below."""
    assume(any((truth != 1000).any() for _, truth in images))
    return images


def plain(images):
    return [(prediction.tolist(), truth.tolist()) for prediction, truth in images]


def assert_equal_counts(one, other):
    np.testing.assert_array_equal(one.confusion, other.confusion)
    np.testing.assert_array_equal(one.cooccurrence, other.cooccurrence)
    np.testing.assert_array_equal(one.top, other.top)
    np.testing.assert_array_equal(one.occurrence, other.occurrence)
    assert (one.ties, one.f_beta, one.images) == (other.ties, other.f_beta, other.images)


@settings(max_examples=200, deadline=None)
@given(pairs(CLASSES, CLASSES), st.booleans())
def test_metrics_equal_the_plain_reference(images, without_other):
    found = compute_metrics(count(evaluable(images)), without_other)
    expected = metrics(plain(images), CLASSES, without_other)
    assert list(found) == [
        *("mIoU", "b-mIoU", "Img-Acc", "F_beta"),
        *("S", "MS", "ML", "L", "BS", "BMS", "BML", "BL"),
    ]
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-9, nan_ok=True), name


@settings(max_examples=50, deadline=None)
@given(pairs(900, 900, max_images=2), st.booleans())
def test_large_ids(images, without_other):
    found = compute_metrics(count(evaluable(images), 900), without_other)
    for name, value in metrics(plain(images), 900, without_other).items():
        assert found[name] == pytest.approx(value, abs=1e-9, nan_ok=True), name


@settings(max_examples=150, deadline=None)
@given(shapes(40).flatmap(lambda shape: mask(shape, [0, 1, 2, 1000])))
def test_boundary_equals_repeated_erosion(ids):
    found = boundary_ids(ids)
    expected = np.zeros(ids.shape, np.int64)
    for (y, x), value in boundary(ids.tolist()).items():
        expected[y, x] = value + 1
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=150, deadline=None)
@given(pairs(CLASSES, CLASSES), st.permutations(range(1, CLASSES + 1)))
def test_a_match_applied_to_the_sums_or_to_the_predictions(images, order):
    match = np.array([0, *order])
    matched = [(apply_match(prediction, match), truth) for prediction, truth in images]
    assert_equal_counts(count(images).matched(match), count(matched))


@settings(max_examples=150, deadline=None)
@given(pairs(6, 3), st.permutations([0, 0, 0, 1, 2, 3]))
def test_more_generated_than_true_classes(images, true):
    match = np.array([0, *true])
    counts = count(evaluable(images), 3, 6)
    matched = count([(apply_match(p, match), truth) for p, truth in images], 3)
    if counts.can_match(match):
        assert_equal_counts(counts.matched(match), matched)
    else:
        with pytest.raises(LussError, match="count them again"):
            counts.matched(match)
    expected = metrics(
        [(match[prediction].tolist(), truth.tolist()) for prediction, truth in images], 3
    )
    found = compute_metrics(matched)
    assert found == pytest.approx(expected, abs=1e-9, nan_ok=True)


@settings(max_examples=100, deadline=None)
@given(pairs(6, 3), st.permutations([0, 0, 0, 1, 2, 3]), st.integers(0, 4))
def test_sums_refuse_a_match_exactly_if_it_joins_ids_that_occur(images, true, cut):
    """Whatever the truth ignores; and whether the ids occur in the first images or the last."""
    match = np.array([0, *true])
    held = np.union1d([0], np.concatenate([np.unique(prediction) for prediction, _ in images]))
    joins = len(set(match[held].tolist())) < len(held)
    counts = count(images[:cut], 3, 6) + count(images[cut:], 3, 6)
    assert counts.can_match(match) is not joins


def test_a_left_over_id_under_ignored_truth_shapes_the_boundaries():
    """Generated 2 occurs where the truth is ignored alone, and becomes 'other'."""
    truth = np.zeros((40, 40), np.int32)
    truth[:, 20:] = 1000
    truth[10:20, 5:20] = 1
    prediction = np.where(truth == 1000, 2, truth)
    prediction[12:22, 5:20] = 1
    match = np.array([0, 1, 0])
    counts = count([(prediction, truth)], 1, 2)
    assert not counts.can_match(match)
    recounted = compute_metrics(count([(apply_match(prediction, match), truth)], 1))
    expected = metrics([(match[prediction].tolist(), truth.tolist())], 1)
    assert recounted == pytest.approx(expected, abs=1e-9, nan_ok=True)
    # Regions alone follow the sums: ignored pixels take no part in them.
    regions = count([(prediction, truth)], 1, 2, with_boundary=False).matched(match)
    matched = count([(apply_match(prediction, match), truth)], 1, with_boundary=False)
    assert_equal_counts(regions, matched)


@settings(max_examples=100, deadline=None)
@given(pairs(3, 5))
def test_fewer_generated_than_true_classes(images):
    match = np.array([0, 4, 2, 5])
    found = compute_metrics(count(evaluable(images), 5, 3).matched(match))
    expected = metrics(
        [(match[prediction].tolist(), truth.tolist()) for prediction, truth in images], 5
    )
    assert found == pytest.approx(expected, abs=1e-9, nan_ok=True)


@settings(max_examples=100, deadline=None)
@given(pairs(5, 3))
def test_cooccurrence_is_image_level_presence(images):
    np.testing.assert_array_equal(
        count(images, 3, 5).cooccurrence[1:, 1:], cooccurrence(plain(images), 5, 3)
    )


@settings(max_examples=50, deadline=None)
@given(pairs(CLASSES, CLASSES, max_images=6), st.integers(0, 6))
def test_counts_add_up_in_any_order(images, cut):
    whole = count(images)
    assert_equal_counts(count(images[:cut]) + count(images[cut:]), whole)
    assert_equal_counts(count(images[cut:]) + count(images[:cut]), whole)


@settings(max_examples=50, deadline=None)
@given(pairs(CLASSES, CLASSES))
def test_without_boundaries(images):
    everything = compute_metrics(count(evaluable(images)))
    regions = compute_metrics(count(images, with_boundary=False))
    assert list(regions) == ["mIoU", "Img-Acc", "F_beta", "S", "MS", "ML", "L"]
    assert regions == pytest.approx({k: everything[k] for k in regions}, abs=0, nan_ok=True)


@settings(max_examples=50, deadline=None)
@given(pairs(CLASSES, CLASSES), st.sampled_from(["uint8", "uint16", "int16", "int64"]))
def test_the_integer_type_makes_no_difference(images, dtype):
    kinds = dtype, "int16" if dtype == "uint8" else dtype
    cast = [(p.astype(kinds[0]), np.asfortranarray(t.astype(kinds[1]))) for p, t in images]
    assert_equal_counts(count(cast), count(images))


def test_closed_form():
    """Half of a 2x4 class is found, and one pixel too much; the rest is 'other'."""
    truth = np.zeros((4, 8), np.int32)
    truth[:2, :4] = 1
    prediction = np.zeros((4, 8), np.int32)
    prediction[:2, :2] = 1
    prediction[3, 7] = 1
    found = compute_metrics(count([(prediction, truth)], 1))
    # Class 1: 4 of 8 + 5 - 4. 'other': 23 of 24 + 27 - 23.
    assert found["mIoU"] == pytest.approx((4 / 9 + 23 / 28) / 2)
    precision, recall = 4 / 5, 4 / 8
    assert found["F_beta"] == pytest.approx(1.3 * precision * recall / (0.3 * precision + recall))
    assert found["Img-Acc"] == 1
    # The class covers 25 % and is hence medium-small.
    assert found["MS"] == pytest.approx(found["mIoU"])
    assert np.isnan(found["S"])
    assert to_percent(found)["S"] is None


def test_a_perfect_prediction_scores_one():
    truth = np.repeat(np.arange(3), 27).reshape(9, 9)
    found = compute_metrics(count([(truth, truth)], 2))
    assert {k for k, v in found.items() if not np.isnan(v)} >= {"mIoU", "b-mIoU", "ML", "BML"}
    assert all(v == pytest.approx(1) for v in found.values() if not np.isnan(v))


def test_an_ignored_image_counts_as_wrong():
    ones = np.ones((3, 4), int)
    found = compute_metrics(count([(ones, ones * 1000), (ones, ones)], 1))
    assert found["Img-Acc"] == found["F_beta"] == pytest.approx(1 / 2)


def test_a_truth_that_is_ignored_everywhere_has_no_metrics():
    ones = np.ones((3, 4), int)
    for with_boundary in (True, False):
        counts = count([(ones, ones * 1000)] * 2, 1, with_boundary=with_boundary)
        with pytest.raises(LussError, match="every true pixel of all 2 images is ignored"):
            compute_metrics(counts)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((0,), r"classes is 0\. Expected 1\.\.999"),
        ((1000,), "classes is 1000"),
        ((70000,), "number of classes is 70000"),
        ((3, -5), r"categories is -5\. Expected 1\.\.65535"),
        ((3, 0), "generated categories is 0"),
        ((3, 65536), "generated categories is 65536"),
    ],
)
def test_numbers_of_classes_that_masks_cannot_hold(numbers, message):
    for counted in (Counts.zeros, ThresholdSearch):
        with pytest.raises(LussError, match=message):
            counted(*numbers)


def test_the_image_border_is_boundary():
    assert dilate(np.zeros((8, 8), np.uint8), 2, border=1).sum() == 81 - 25


def test_table_by_class():
    truth = np.repeat(np.arange(3), 27).reshape(9, 9)
    lines = per_class_table(count([(truth, truth)], 2), ["other", "cat", "dog"]).splitlines()
    assert [line.split()[0] for line in lines] == ["class", "other", "cat", "dog"]
    assert lines[1].split()[1:] == ["100.00", "100.00"]


def test_a_class_without_a_true_pixel_counts_as_0_and_is_named():
    truth = np.kron([[0, 1], [1000, 3]], np.ones((4, 4), int))
    names = ["other", "ant", "bee", "cat", "dog"]
    perfect = np.where(truth == 1000, 2, truth)
    counts = count([(perfect, truth)])
    # Three of five classes are there, and right; 'bee' is predicted where nothing is evaluated.
    assert compute_metrics(counts)["mIoU"] == pytest.approx(3 / 5)
    assert absent_classes(counts, names) == ["bee", "dog"]
    assert absent_classes(counts) == absent_classes(counts, ["other"]) == ["2", "4"]
    marked = [line for line in per_class_table(counts, names).splitlines() if "no true" in line]
    assert [line.split()[0] for line in marked] == ["bee", "dog"]
    # Under any ids of predictions.
    generated = count([(7 * perfect, truth)], num_generated=28)
    assert absent_classes(generated, names) == ["bee", "dog"]


@pytest.mark.parametrize(
    ("prediction", "truth", "message"),
    [
        (np.zeros((2, 3), int), np.zeros((3, 2), int), "original resolution"),
        (np.zeros((2, 3)), np.zeros((2, 3), int), "integer ids"),
        (
            np.full((2, 3), 5),
            np.zeros((2, 3), int),
            r"prediction contains the id 5, expected 0\.\.4",
        ),
        (np.full((2, 3), 1000), np.zeros((2, 3), int), "prediction contains the id 1000"),
        (
            np.zeros((2, 3), int),
            np.full((2, 3), 7),
            r"truth contains the id 7, expected 0\.\.4 or 1000",
        ),
        (np.full((2, 3), -1), np.zeros((2, 3), int), "ids in -1"),
        (np.zeros((2, 3), int), np.full((2, 3), 1001), "1001"),
        (np.full((2, 3), 70000), np.zeros((2, 3), int), "70000"),
    ],
)
def test_masks_that_do_not_fit(prediction, truth, message):
    with pytest.raises(LussError, match=message):
        count_image(prediction, truth, CLASSES)


def test_counts_that_do_not_fit():
    with pytest.raises(LussError, match="cannot be added"):
        Counts.zeros(3) + Counts.zeros(4)
    with pytest.raises(LussError, match="no image"):
        compute_metrics(Counts.zeros(3))
    with pytest.raises(LussError, match="Apply a match"):
        per_class_iou(Counts.zeros(3, 4))
    with pytest.raises(LussError, match="not counted"):
        per_class_iou(Counts.zeros(3, boundary=False), boundary=True)
    with pytest.raises(LussError, match="4 ids in 0"):
        Counts.zeros(3).matched(np.array([0, 1]))
