"""Matching: optimal, whatever the numbers of generated and true classes; match.json."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from luss.errors import LussError
from luss.evaluation.counting import count_image
from luss.evaluation.counts import Counts
from luss.evaluation.matching import (
    ImageLevelMatcher,
    PixelOverlapMatcher,
    apply_match,
    match_ids,
    read_match,
    write_match,
)
from luss.registry import MATCHERS

sizes = st.integers(1, 5)
scores = st.tuples(sizes, sizes).flatmap(lambda s: arrays(np.int64, s, elements=st.integers(0, 9)))


def best_total(table):
    """The largest sum over all ways to pair rows with columns, each used once at most."""
    if table.shape[0] > table.shape[1]:
        table = table.T
    rows = range(table.shape[0])
    return max(
        sum(table[row, column] for row, column in zip(rows, columns, strict=True))
        for columns in itertools.permutations(range(table.shape[1]), table.shape[0])
    )


@settings(max_examples=200, deadline=None)
@given(scores)
def test_the_total_is_the_largest_of_all_assignments(table):
    match = match_ids(table)
    matched = np.flatnonzero(match)
    assert match[0] == 0
    assert len(matched) == len(set(match[matched])) == min(table.shape)
    assert table[matched - 1, match[matched] - 1].sum() == best_total(table)


@settings(max_examples=100, deadline=None)
@given(scores)
def test_left_over_ids_take_their_best_true_id(table):
    other, best = match_ids(table), match_ids(table, unmatched="best")
    for generated in range(1, len(other)):
        if other[generated]:
            assert best[generated] == other[generated]
        else:
            row = table[generated - 1]
            assert best[generated] == (row.argmax() + 1 if row.any() else 0)


@settings(max_examples=100, deadline=None)
@given(scores, st.data())
def test_left_over_ids_break_ties_by_pixels_too(table, data):
    table = table.clip(0, 2)
    pixels = data.draw(arrays(np.int64, table.shape, elements=st.integers(0, 3)))
    other, best = match_ids(table, "other", pixels), match_ids(table, "best", pixels)
    for generated in range(1, len(other)):
        if other[generated]:
            assert best[generated] == other[generated]
            continue
        ranked = [
            (images, shared, -true)
            for true, (images, shared) in enumerate(
                zip(table[generated - 1], pixels[generated - 1], strict=True), 1
            )
            if images
        ]
        assert best[generated] == (-max(ranked)[2] if ranked else 0)


def test_of_equal_image_level_matches_the_one_that_shares_most_pixels():
    """In one image both generated ids meet both true ones, which images cannot tell apart."""
    for order in ([1, 2], [2, 1]):
        truth = np.array([[1, 1, 1, 2, 2, 2]])
        prediction = np.array([np.repeat(order, 3)])
        prediction[0, [2, 3]] = prediction[0, [3, 2]]
        counts = counts_of([(prediction, truth)], 2)
        assert counts.cooccurrence[1:, 1:].tolist() == [[1, 1], [1, 1]]
        np.testing.assert_array_equal(ImageLevelMatcher()(counts), [0, *order])


@settings(max_examples=50, deadline=None)
def counts_of(images, num_classes):
    counts = Counts.zeros(num_classes)
    for prediction, truth in images:
        counts.add(count_image(np.array(prediction), np.array(truth), num_classes))
    return counts


def test_matchers_differ_where_images_and_pixels_do():
    """Generated 1 meets true 1 in two images but shares more pixels with true 2."""
    images = [
        ([[1, 0, 0, 0, 0, 0]], [[1, 0, 0, 0, 0, 0]]),
        ([[1, 0, 0, 0, 0, 0]], [[1, 0, 0, 0, 0, 0]]),
        ([[1, 1, 1, 1, 1, 2]], [[2, 2, 2, 2, 2, 2]]),
    ]
    counts = counts_of(images, 2)
    by_image = MATCHERS.build({"type": "ImageLevelMatcher"})(counts)
    by_pixel = MATCHERS.build({"type": "PixelOverlapMatcher"})(counts)
    np.testing.assert_array_equal(by_image, [0, 1, 2])
    np.testing.assert_array_equal(by_pixel, [0, 2, 1])


def test_ignored_pixels_are_dropped_before_the_predicted_classes_are_listed():
    images = [([[1, 2]], [[1, 1000]]), ([[2, 1]], [[2, 1000]])]
    np.testing.assert_array_equal(counts_of(images, 2).cooccurrence[1:, 1:], np.eye(2))


@pytest.mark.parametrize("matcher", [ImageLevelMatcher, PixelOverlapMatcher])
def test_a_renaming_is_undone(matcher):
    truths = [np.array([[0, true, true]]) for true in range(1, 5)]
    renaming = np.array([0, 3, 1, 4, 2])
    match = matcher()(counts_of([(renaming[truth], truth) for truth in truths], 4))
    for truth in truths:
        np.testing.assert_array_equal(apply_match(renaming[truth], match), truth)


def test_match_file(tmp_path):
    match = np.array([0, 300, 0, 2])
    write_match(tmp_path / "match.json", match)
    assert json.loads((tmp_path / "match.json").read_text()) == {"0": 0, "1": 300, "2": 0, "3": 2}
    np.testing.assert_array_equal(read_match(tmp_path / "match.json", 300), match)


def test_the_released_evaluators_match_files_are_read(golden_path):
    for name in ("A", "B"):
        path = golden_path("eval_masks") / name / "match_imagenets.json"
        content = json.loads(path.read_text())
        match = read_match(path)
        assert {str(g): int(t) for g, t in enumerate(match)} == content


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[1, 2]",
        "{}",
        '{"a": 1}',
        '{"1": "2"}',
        '{"1": 2.5}',
        '{"1": true}',
        '{"1": 9}',
        '{"1": -1}',
        '{"0": 3}',
        '{"-1": 1}',
        '{"1": 2, "1": 3}',
        '{"1": 2, "01": 3}',
        '{"1": NaN}',
        '{"65536": 1}',
        pytest.param('{"' + "9" * 5000 + '": 1}', id="a long id"),
        pytest.param('{"1": ' + "9" * 5000 + "}", id="a long number"),
        pytest.param('{"1":' * 100_000, id="depth bomb"),
    ],
)
def test_match_files_that_are_none(tmp_path, content):
    (tmp_path / "match.json").write_text(content)
    with pytest.raises(LussError, match=r"match\.json"):
        read_match(tmp_path / "match.json", num_classes=5)


def test_bad_input():
    with pytest.raises(LussError, match=r"'drop'.*other, best"):
        match_ids(np.ones((2, 2)), unmatched="drop")
    with pytest.raises(LussError, match="shape"):
        match_ids(np.ones(2))
    with pytest.raises(LussError, match="integers of equal shapes"):
        match_ids(np.ones((2, 2)), overlap=np.ones((2, 2), int))
    with pytest.raises(LussError, match="generated ids"):
        apply_match(np.array([[5]]), np.array([0, 1]))
    with pytest.raises(LussError, match="cannot read"):
        read_match("absent.json")


def test_all_classes_of_a_prediction_are_matched_not_the_largest_alone():
    # Id 1 is the largest everywhere; only by id 2, which it outweighs, can the two be told apart.
    images = [
        ([[1, 1, 1, 1, 2]], [[2, 2, 2, 2, 2]]),
        ([[1, 1, 0, 0, 0]], [[1, 0, 0, 0, 0]]),
    ]
    counts = Counts.zeros(2)
    for prediction, truth in images:
        counts.add(count_image(np.array(prediction), np.array(truth), 2))
    np.testing.assert_array_equal(ImageLevelMatcher()(counts), [0, 1, 2])
