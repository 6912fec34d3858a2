"""The threshold curve against the released search, which walks the images once a threshold."""

import numpy as np
import pytest

from luss.evaluation.counting import count_image
from luss.evaluation.counts import Counts
from luss.evaluation.matching import ImageLevelMatcher, apply_match
from luss.evaluation.metrics import compute_metrics, matched_miou
from luss.label_generation.threshold_search import ThresholdSearch

SETS = ("A", "B")


def images(masks, which):
    for key in sorted(masks):
        if key.startswith(which) and key.endswith("_gt"):
            stem = key.removesuffix("_gt")
            yield masks[f"{stem}_logit"], masks[f"{stem}_pred"], masks[key]


def modes(result, which):
    """Yield (threshold, mode) of the golden curve."""
    for threshold in result[f"{which}_curve_thresholds"]:
        yield float(threshold), f"{which}_curve_t{round(100 * threshold):02d}"


def golden_match(result, mode):
    match = np.zeros(len(result[f"{mode}_IoUs"]), np.int64)
    match[result[f"{mode}_match_from"] + 1] = result[f"{mode}_match_to"] + 1
    return match


@pytest.mark.parametrize("which", SETS)
def test_curve(golden, which):
    masks, result = golden("eval_masks.npz"), golden("evaluator_pass.npz")
    thresholds = tuple(result[f"{which}_curve_thresholds"].tolist())
    matcher, seen = ImageLevelMatcher(), []

    def recording(counts):
        seen.append(counts)
        return matcher(counts)

    classes = int(masks[f"num_classes_{which}"])
    search = ThresholdSearch(classes, thresholds=thresholds, matcher=recording)
    # The first is a trial.
    seen.clear()
    for attention, clusters, truth in images(masks, which):
        search.add(attention, clusters, truth)
    column = result["metric_names"].tolist().index("mIoU")
    curve, with_golden_match = search.curve(), []
    for index, (_, mode) in enumerate(modes(result, which)):
        theirs, expected = golden_match(result, mode), result[f"{mode}_metrics"][column]
        counts, ids = seen[index], np.arange(len(theirs) - 1)
        confusion = counts.confusion[0, 0, :-1, :-1]
        with_golden_match.append(matched_miou(confusion, theirs))
        assert 100 * with_golden_match[-1] == pytest.approx(expected, rel=1e-6, abs=1e-5)
        # Several matches may reach the same total; the released code's choice is one of them.
        score, ours = counts.cooccurrence[1:, 1:], matcher(counts)
        assert score[ids, ours[1:] - 1].sum() == score[ids, theirs[1:] - 1].sum()
        assert curve.miou[index] == pytest.approx(matched_miou(confusion, ours), rel=1e-12)
        if np.array_equal(ours, theirs):
            assert curve.miou[index] == pytest.approx(with_golden_match[-1], rel=1e-12)
    best = thresholds[int(np.argmax(with_golden_match))]
    assert best == pytest.approx(float(result[f"{which}_curve_best_threshold"]))
    assert curve.best == int(np.argmax(curve.miou))


@pytest.mark.parametrize("which", SETS)
def test_all_metrics_at_every_threshold_with_the_golden_match(golden, which):
    masks, result = golden("eval_masks.npz"), golden("evaluator_pass.npz")
    names = {"Acc": "Img-Acc", "mBIoU": "b-mIoU", "FMeasure": "F_beta"}
    classes = int(masks[f"num_classes_{which}"])
    for threshold, mode in modes(result, which):
        match, counts = golden_match(result, mode), Counts.zeros(classes)
        for attention, clusters, truth in images(masks, which):
            kept = attention >= np.float32(threshold)
            counts.add(count_image(np.where(kept, apply_match(clusters, match), 0), truth, classes))
        found = compute_metrics(counts)
        for name, value in zip(result["metric_names"], result[f"{mode}_metrics"], strict=True):
            ours = 100 * found[names.get(str(name), str(name))]
            assert ours == pytest.approx(float(value), rel=1e-6, abs=1e-5), (mode, name)
