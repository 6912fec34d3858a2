"""The metric in MMEngine's loops: equal to the functions, alone and on two ranks."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import BaseDataElement, PixelData
from processes import Command

from luss.errors import LussError
from luss.evaluation.counting import count_image
from luss.evaluation.counts import Counts
from luss.evaluation.matching import apply_match, read_match, write_match
from luss.evaluation.metrics import compute_metrics
from luss.evaluation.segmentation_metric import SegmentationMetric
from luss.registry import METRICS

CLASSES = 3


def images(number=5, num_generated=CLASSES):
    generator = np.random.default_rng(0)
    result = []
    for n in range(number):
        size = (6 + n, 9)
        prediction = generator.integers(0, num_generated + 1, size)
        truth = np.where(generator.random(size) < 0.7, prediction % (CLASSES + 1), 0)
        truth[0, :3] = 1000
        result.append((prediction, truth))
    return result


def samples(items, **meta):
    result = []
    for n, (prediction, truth) in enumerate(items):
        sample = BaseDataElement(metainfo={"sample_idx": n, "img_path": f"{n}.JPEG", **meta})
        sample.pred_sem_seg = PixelData(data=torch.from_numpy(prediction)[None])
        sample.gt_sem_seg = PixelData(data=torch.from_numpy(truth)[None])
        result.append(sample)
    return result


def run(metric, data_samples, size, batch=2, classes=None):
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = {"classes": classes} if classes else None
    for start in range(0, len(data_samples), batch):
        evaluator.process(data_samples[start : start + batch])
    return evaluator.evaluate(size)


def expected(items, match=None, without_other=False):
    counts = Counts.zeros(CLASSES)
    for prediction, truth in items:
        prediction = prediction if match is None else apply_match(prediction, match)
        counts.add(count_image(prediction, truth, CLASSES))
    return {k: 100 * v for k, v in compute_metrics(counts, without_other).items()}


def test_equal_to_the_functions():
    found = run(
        METRICS.build({"type": "SegmentationMetric", "num_classes": CLASSES}), samples(images()), 5
    )
    assert found == pytest.approx(expected(images()), nan_ok=True)


def test_classes_of_the_data_set_and_all_options(tmp_path):
    metric = SegmentationMetric(without_other=True, per_class=True, prefix="val", boundary=False)
    found = run(metric, samples(images()), 5, classes=("other", "a", "b", "c"))
    with_other, without = expected(images()), expected(images(), without_other=True)
    assert found["val/mIoU"] == pytest.approx(with_other["mIoU"])
    assert found["val/mIoU without other"] == pytest.approx(without["mIoU"])
    assert "val/b-mIoU" not in found


def test_an_image_handed_out_twice_counts_once():
    data_samples = samples(images())
    found = run(SegmentationMetric(CLASSES), [*data_samples, data_samples[0], data_samples[3]], 5)
    assert found == pytest.approx(expected(images()), nan_ok=True)


def test_it_starts_anew_after_evaluation():
    metric = SegmentationMetric(CLASSES)
    run(metric, samples(images()[:2]), 2)
    found = run(metric, samples(images()), 5)
    assert found == pytest.approx(expected(images()), nan_ok=True)


def test_match_as_array_or_file(tmp_path):
    match = np.array([0, 2, 0, 1, 3, 0])
    write_match(tmp_path / "match.json", match)
    items = images(num_generated=5)
    for given in (match, match.tolist(), str(tmp_path / "match.json"), tmp_path / "match.json"):
        found = run(SegmentationMetric(CLASSES, match=given), samples(items), 5)
        assert found == pytest.approx(expected(items, match), nan_ok=True)


def test_match_found_on_the_way(tmp_path):
    path = tmp_path / "match.json"
    metric = SegmentationMetric(CLASSES, matcher={"type": "PixelOverlapMatcher"}, match_file=path)
    found = run(metric, samples(images()), 5)
    assert found == pytest.approx(expected(images(), read_match(path)), nan_ok=True)


def test_masks_are_counted_again_where_the_match_joins_categories(tmp_path):
    path, items = tmp_path / "match.json", images(num_generated=5)
    metric = SegmentationMetric(
        CLASSES, matcher={"type": "ImageLevelMatcher"}, num_generated=5, match_file=path
    )
    found = run(metric, samples(items), 5)
    np.testing.assert_equal(found, expected(items, read_match(path)))
    assert metric._masks == []


@pytest.mark.parametrize("generated", [CLASSES, 5])
def test_several_matches_of_one_counting(tmp_path, generated):
    """Found on these images, or given, also where they leave generated ids out."""
    items = images(num_generated=generated)
    files = [tmp_path / "image.json", tmp_path / "pixel.json"]
    shared = {"num_generated": generated, "keep_masks": True}
    matchers = [{"type": "ImageLevelMatcher"}, {"type": "PixelOverlapMatcher", "unmatched": "best"}]
    finding = SegmentationMetric(
        CLASSES,
        matcher=matchers[0],
        match_file=files[0],
        variants={"pixel": {"matcher": matchers[1], "match_file": files[1]}},
        **shared,
    )
    found = run(finding, samples(items), 5)
    short = [0, 2]
    given = SegmentationMetric(
        CLASSES, match=files[0], variants={"pixel": {"match": short}}, **shared
    )
    again = run(given, samples(items), 5)
    padded = np.pad(short, (0, generated - 1))
    for metrics, pixel_match in ((found, read_match(files[1])), (again, padded)):
        first, second = expected(items, read_match(files[0])), expected(items, pixel_match)
        second = {f"pixel/{name}": value for name, value in second.items()}
        np.testing.assert_equal(metrics, first | second)


def test_a_given_match_of_more_categories_than_the_model_has():
    metric = SegmentationMetric(CLASSES, match=[0, 1, 2, 3, 0], num_generated=3)
    with pytest.raises(LussError, match="has 4 generated categories, but the model has 3"):
        run(metric, samples(images()), 5)


def test_metrics_by_name():
    metric = SegmentationMetric(CLASSES, metrics=[{"type": "imagenet_s", "without_other": True}])
    found = run(metric, samples(images()), 5)
    whole = expected(images(), without_other=True)
    np.testing.assert_equal(found, whole)
    with pytest.raises(LussError, match="there is no metric 'mine'"):
        SegmentationMetric(CLASSES, metrics=["mine"])


def test_what_is_not_defined_is_told_from_nothing_right():
    nothing = np.ones((4, 4), int), np.where(np.eye(4), 2, 0)
    found = run(SegmentationMetric(CLASSES), samples([nothing]), 1)
    # The one class covers a quarter of the image, and none is large.
    assert (found["Img-Acc"], found["MS"]) == (0, 0)
    assert math.isnan(found["L"])


def test_bad_input():
    with pytest.raises(LussError, match="either match or matcher"):
        SegmentationMetric(CLASSES, match=[0], matcher={"type": "ImageLevelMatcher"})
    with pytest.raises(LussError, match="need a matcher"):
        SegmentationMetric(CLASSES, num_generated=4)
    with pytest.raises(LussError, match="num_classes"):
        run(SegmentationMetric(), samples(images()), 5)
    with pytest.raises(LussError, match="4 images were evaluated, but the data set has 5"):
        run(SegmentationMetric(CLASSES), samples(images()[:4]), 5)
    with pytest.raises(LussError, match=r"image 0\.JPEG: the prediction contains the id"):
        run(SegmentationMetric(1), samples(images()), 5)


RANK = """
import json, sys
import torch.distributed as dist
sys.path.insert(0, sys.argv[1])
import test_segmentation_metric as here
from mmengine.dataset import DefaultSampler
from luss.evaluation.segmentation_metric import SegmentationMetric

rank = int(sys.argv[2])
dist.init_process_group("gloo", init_method=sys.argv[3], rank=rank, world_size=2)
metric = SegmentationMetric(here.CLASSES)
for number in (1, 5):
    items = here.samples(here.images(number))
    share = [items[i] for i in DefaultSampler(items, shuffle=False)]
    print(json.dumps([number, len(share), here.run(metric, share, number)]))
dist.destroy_process_group()
"""


def test_two_ranks_equal_one(tmp_path):
    """The sampler makes the ranks even by handing out an image twice."""
    arguments = ("-c", RANK, Path(__file__).parent)
    ranks = [Command(*arguments, rank, f"file://{tmp_path}/rendezvous") for rank in range(2)]
    outputs = [rank.communicate(timeout=120)[0] for rank in ranks]
    for output in outputs:
        lines = [json.loads(line) for line in output.splitlines() if line.startswith("[")]
        assert [(number, share) for number, share, _ in lines] == [(1, 1), (5, 3)]
        for number, _, metrics in lines:
            assert metrics == pytest.approx(expected(images(number)), rel=1e-12, nan_ok=True)
