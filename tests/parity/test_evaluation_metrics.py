"""All metrics against the released evaluators of PASS and of ImageNet-S."""

import numpy as np
import pytest
from boundaries import boundary_ids

from luss.evaluation.counting import count_image
from luss.evaluation.counts import F_BETA_UNIT, Counts
from luss.evaluation.matching import ImageLevelMatcher, apply_match
from luss.evaluation.metrics import compute_metrics, per_class_iou, to_percent

NAMES = {"Acc": "Img-Acc", "mBIoU": "b-mIoU", "FMeasure": "F_beta"}
SETS = ("A", "B")
EVALUATORS = ("evaluator_pass.npz", "evaluator_imagenets.npz")


def pairs(masks, which):
    """Yield (key, truth, prediction, attention) of a set of the golden masks."""
    for key in sorted(masks):
        if key.startswith(which) and key.endswith("_gt"):
            stem = key.removesuffix("_gt")
            yield stem, masks[key], masks[f"{stem}_pred"], masks[f"{stem}_logit"]


def count_all(masks, which, match=None):
    classes = int(masks[f"num_classes_{which}"])
    counts = Counts.zeros(classes)
    for _, truth, prediction, _ in pairs(masks, which):
        if match is not None:
            prediction = apply_match(prediction, match)
        counts.add(count_image(prediction, truth, classes))
    return counts


def golden_match(result, which, mode):
    """The match of a golden result, 0-based in PASS's file and 1-based in ImageNet-S's."""
    generated = result[f"{which}_{mode}_match_from"]
    true = result[f"{which}_{mode}_match_to"]
    shift = 0 if len(generated) == len(result[f"{which}_{mode}_IoUs"]) else 1
    match = np.zeros(len(result[f"{which}_{mode}_IoUs"]), np.int64)
    match[generated + shift] = true + shift
    return match


def assert_metrics(counts, result, which, mode):
    found = to_percent(compute_metrics(counts))
    for name, expected in zip(
        result["metric_names"], result[f"{which}_{mode}_metrics"], strict=True
    ):
        value = found.pop(NAMES.get(str(name), str(name)))
        # The released evaluators agree with each other to 6e-6 percent (float32 sums).
        assert value == pytest.approx(expected, rel=1e-6, abs=1e-5), name
    assert not found
    iou = 100 * per_class_iou(counts).iou
    np.testing.assert_allclose(iou, result[f"{which}_{mode}_IoUs"], rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("which", SETS)
@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_metrics_without_matching(golden, which, evaluator):
    assert_metrics(count_all(golden("eval_masks.npz"), which), golden(evaluator), which, "identity")


@pytest.mark.parametrize("which", SETS)
@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_metrics_of_counts_matched_afterwards(golden, which, evaluator):
    result = golden(evaluator)
    counts = count_all(golden("eval_masks.npz"), which)
    matched = counts.matched(golden_match(result, which, "hungarian"))
    assert_metrics(matched, result, which, "hungarian")


@pytest.mark.parametrize("which", SETS)
@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_metrics_of_matched_predictions(golden, which, evaluator):
    masks, result = golden("eval_masks.npz"), golden(evaluator)
    counts = count_all(masks, which, golden_match(result, which, "hungarian"))
    assert_metrics(counts, result, which, "hungarian")


@pytest.mark.parametrize("which", SETS)
def test_match_of_the_masks(golden, which):
    """The same total is reached; several matches may reach it."""
    counts = count_all(golden("eval_masks.npz"), which)
    score = counts.cooccurrence[1:, 1:]
    ours = ImageLevelMatcher()(counts)
    theirs = golden_match(golden("evaluator_pass.npz"), which, "hungarian")
    ids = np.arange(len(score))
    assert score[ids, ours[1:] - 1].sum() == score[ids, theirs[1:] - 1].sum()


@pytest.mark.parametrize("which", SETS)
def test_boundaries(golden, which):
    masks, result = golden("eval_masks.npz"), golden("evaluator_pass.npz")
    compared = 0
    for stem, truth, prediction, _ in pairs(masks, which):
        for name, ids in (("target", truth), ("pred", prediction)):
            key = f"{stem}_masked_boundary_{name}"
            if key in result:
                np.testing.assert_array_equal(boundary_ids(ids)[truth != 1000], result[key])
                compared += 1
    assert compared


@pytest.mark.parametrize("which", SETS)
def test_f_beta_of_each_image(golden, which):
    masks, result = golden("eval_masks.npz"), golden("evaluator_pass.npz")
    classes = int(masks[f"num_classes_{which}"])
    for stem, truth, prediction, _ in pairs(masks, which):
        if f"{stem}_fscore" in result:
            found = count_image(prediction, truth, classes).f_beta / F_BETA_UNIT
            assert found == pytest.approx(float(result[f"{stem}_fscore"]), rel=1e-6)
