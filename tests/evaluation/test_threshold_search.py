"""The one-pass search against evaluating anew at every threshold; Otsu's criterion."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mask_strategies import mask, shapes

from luss.errors import LussError
from luss.evaluation.counting import count_image
from luss.evaluation.counts import Counts
from luss.evaluation.matching import ImageLevelMatcher, PixelOverlapMatcher, apply_match
from luss.evaluation.metrics import compute_metrics
from luss.label_generation.threshold_file import Threshold
from luss.label_generation.threshold_rules import AttentionHistogram, OtsuThreshold, otsu_threshold
from luss.label_generation.threshold_search import THRESHOLDS, ThresholdSearch, attention_level

GENERATED, CLASSES = 4, 3


@st.composite
def images(draw):
    result = []
    for _ in range(draw(st.integers(1, 3))):
        shape = draw(shapes(8))
        steps = draw(mask(shape, list(range(0, 101, 7))))
        # On the thresholds themselves, and just beside them.
        side = draw(st.sampled_from([-1, 0, 1]))
        attention = (steps / 100).astype(np.float32)
        attention = (
            np.nextafter(attention, np.float32(side), dtype=np.float32) if side else attention
        )
        clusters = draw(mask(shape, list(range(1, GENERATED + 1))))
        truth = draw(mask(shape, [*range(CLASSES + 1), 1000]))
        result.append((attention, clusters, truth))
    return result


def search_of(items, **options):
    search = ThresholdSearch(CLASSES, GENERATED, **options)
    for item in items:
        search.add(*item)
    return search


def evaluate(items, threshold, match=None):
    """Counts, or with a match metrics, of the predictions at one threshold."""
    counts = Counts.zeros(CLASSES, None if match is not None else GENERATED)
    for attention, clusters, truth in items:
        prediction = np.where(attention < np.float32(threshold), 0, clusters)
        if match is not None:
            prediction = apply_match(prediction, match)
        counts.add(count_image(prediction, truth, CLASSES, counts.num_generated))
    return counts if match is None else compute_metrics(counts)["mIoU"]


class MostPixelsMatcher:
    """A matcher of a project's own: each id is the class of most of its pixels, 'other' too."""

    def __call__(self, counts):
        match = counts.confusion[0, 0, :-1, :-1].argmax(axis=1)
        match[0] = 0
        return match


MATCHERS = [
    *(kind(unmatched) for kind in (ImageLevelMatcher, PixelOverlapMatcher)
      for unmatched in ("other", "best")),
    MostPixelsMatcher(),
]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(images(), st.sampled_from(MATCHERS))
def test_curve_equals_evaluating_anew_at_every_threshold(items, matcher):
    assume(any((truth != 1000).any() for _, _, truth in items))
    thresholds = THRESHOLDS[::4]
    seen_by_matcher = []

    def recording(counts):
        seen_by_matcher.append(counts)
        return matcher(counts)

    search = search_of(items, thresholds=thresholds, matcher=recording)
    # The first is a trial.
    seen_by_matcher.clear()
    curve, expected = search.curve(), []
    for seen, threshold in zip(seen_by_matcher, thresholds, strict=True):
        counts = evaluate(items, threshold)
        np.testing.assert_array_equal(seen.confusion[0, 0], counts.confusion[0, 0])
        np.testing.assert_array_equal(seen.cooccurrence, counts.cooccurrence)
        assert seen.images == counts.images
        expected.append(evaluate(items, threshold, matcher(counts)))
    assert curve.miou == pytest.approx(expected, rel=1e-12)
    assert curve.best == int(np.argmax(curve.miou))
    assert curve.threshold == thresholds[curve.best]


def test_a_matcher_that_needs_other_counts_is_rejected_first():
    def by_largest(counts):
        return match_by(counts.top[1:, 1:])

    def of_small_objects(counts):
        return match_by(counts.confusion[0, 1, 1:-1, 1:-1])

    def match_by(scores):
        return np.append(0, scores.argmax(axis=1) + 1)

    for matcher in (by_largest, of_small_objects):
        assert matcher(Counts.zeros(CLASSES, GENERATED)).shape == (GENERATED + 1,)
        with pytest.raises(LussError, match=r"function.*matcher=dict\(type='ImageLevelMatcher'\)"):
            ThresholdSearch(CLASSES, GENERATED, matcher=matcher)


@settings(max_examples=30, deadline=None)
@given(images(), images())
def test_searches_add_up(one, other):
    assume(any((truth != 1000).any() for _, _, truth in one + other))
    total = search_of(one)
    total += search_of(other)
    whole = search_of(one + other)
    assert total.images == whole.images
    np.testing.assert_array_equal(total.curve().miou, whole.curve().miou)


def test_the_lowest_threshold_wins_a_tie():
    attention = np.array([[0.1, 0.1, 0.5, 0.5]], np.float32)
    truth = np.array([[0, 0, 1, 1]])
    search = ThresholdSearch(1)
    search.add(attention, np.ones((1, 4), int), truth)
    curve = search.curve()
    # 0.10 in float32 is not below 0.10, so the first threshold that divides is 0.11.
    assert curve.threshold == 0.11
    assert curve.miou[11] == curve.miou[50] == pytest.approx(1)


def test_levels_compare_in_float32():
    for index, threshold in enumerate(THRESHOLDS):
        at = np.float32(threshold)
        below = np.nextafter(at, np.float32(-1))
        np.testing.assert_array_equal(
            attention_level(np.array([below, at]), THRESHOLDS), [index, index + 1]
        )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 100), min_size=1, max_size=40))
def test_otsu_equals_the_best_of_all_divisions(percent):
    values = np.array(percent, np.float32) / np.float32(100)
    histogram = AttentionHistogram()
    for part in np.array_split(values, 3):
        histogram.add(part)

    def variance(threshold):
        below, above = (
            values[values < np.float32(threshold)],
            values[values >= np.float32(threshold)],
        )
        if not len(below) or not len(above):
            return 0.0
        between = below.mean(dtype=np.float64) - above.mean(dtype=np.float64)
        return len(below) * len(above) * between**2

    found = otsu_threshold(histogram)
    assert found in THRESHOLDS
    assert variance(found) == pytest.approx(max(map(variance, THRESHOLDS)), rel=1e-9)
    lower = itertools.takewhile(lambda t: t < found, THRESHOLDS)
    assert all(variance(t) < variance(found) * (1 + 1e-9) for t in lower)


def test_otsu_divides_two_humps():
    histogram = AttentionHistogram()
    histogram.add(np.array([0.2] * 90 + [0.6] * 10, np.float32))
    other = AttentionHistogram()
    other.add(np.array([0.25, 0.65], np.float32))
    histogram += other
    assert histogram.count.sum() == 102
    assert 0.25 < otsu_threshold(histogram) <= 0.6


@pytest.mark.parametrize(("value", "is_foreground"), [(0, 0), (0.3, 0), (0.5, 0), (1, 1)])
def test_otsu_of_a_flat_map_is_other(value, is_foreground):
    """Unless the map is sure that all of the photo is foreground."""
    levels = np.full((4, 5), np.round(255 * value))
    levels[0, 0] += 1 if value < 1 else 0  # what rounding to 8 bits may make of one value
    values = (levels / 255).astype(np.float32)
    threshold = OtsuThreshold("image").of_image(values, Threshold(None, "Otsu, for each image"))
    assert ((values >= np.float32(threshold)) == is_foreground).all()


def test_bad_input():
    search = ThresholdSearch(3)
    one = np.ones((2, 2), int)
    with pytest.raises(LussError, match=r"\(2, 3\), \(2, 2\) and"):
        search.add(np.zeros((2, 3), np.float32), one, one)
    with pytest.raises(LussError, match="NaN"):
        search.add(np.full((2, 2), np.nan, np.float32), one, one)
    with pytest.raises(LussError, match=r"cluster ids are in 4\.\.4, expected 0\.\.3"):
        search.add(np.zeros((2, 2), np.float32), one * 4, one)
    with pytest.raises(LussError, match="true ids"):
        search.add(np.zeros((2, 2), np.float32), one, one * 4)
    with pytest.raises(LussError, match="no image"):
        search.curve()
    search.add(np.zeros((2, 2), np.float32), one, one * 1000)
    with pytest.raises(LussError, match="every true pixel"):
        search.curve()
    with pytest.raises(LussError, match="ascending"):
        attention_level(np.zeros(2), [0.2, 0.1])
    with pytest.raises(LussError, match="cannot be added"):
        search += ThresholdSearch(4)
    with pytest.raises(LussError, match="found none"):
        otsu_threshold(AttentionHistogram())
