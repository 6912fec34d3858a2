"""Components that are registered here, and nowhere in luss, used by the tiny pipeline."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from mmcv.transforms import BaseTransform
from mmengine import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from tiny_run import read_tiny, run_tiny

from luss.datasets import read_mask
from luss.datasets.image_io import read_image
from luss.errors import LussError
from luss.evaluation import Counts, count_image, named_metrics
from luss.evaluation.metrics import compute_metrics
from luss.evaluation.results import tables_of_variants
from luss.label_generation import KMeansResult, Threshold, ThresholdRule
from luss.label_generation.foreground import ForegroundSource
from luss.models import Objective
from luss.pipeline import Pipeline, Stage
from luss.registry import (
    COUNT_METRICS,
    EMBEDDERS,
    FOREGROUND_SOURCES,
    HOOKS,
    LABEL_GENERATORS,
    MATCHERS,
    METRICS,
    MODELS,
    PROTOCOLS,
    RUNNERS,
    STAGES,
    THRESHOLD_RULES,
    TRANSFORMS,
)
from luss.stages import FullyUnsupervised


@MODELS.register_module()
class FeatureLength(Objective):
    def forward(self, views):
        return {"": views.pooled().square().mean()}


@TRANSFORMS.register_module()
class BlackenCorner(BaseTransform):
    def transform(self, results):
        results["img"] = results["img"].copy()
        results["img"][:4, :4] = 0
        return results


@LABEL_GENERATORS.register_module()
class EveryNth:
    """Image n is of category n modulo C."""

    def __init__(self, num_clusters, seed):
        self.num_clusters = num_clusters

    def fit(self, features, *, sharded=False):
        assignments = np.arange(len(features)) % self.num_clusters
        centroids = [
            features[assignments == each].mean(axis=0) for each in range(self.num_clusters)
        ]
        return KMeansResult(np.stack(centroids), 0.0, assignments)


@EMBEDDERS.register_module()
class MeanColour:
    def __init__(self, scale):
        self.scale = scale

    def embed(self, model, images):
        length = model.extract(images).shape[1]
        return self.scale * images.mean(dim=(2, 3)).repeat(1, length)[:, :length]


@FOREGROUND_SOURCES.register_module()
class LeftHalf(ForegroundSource):
    """The left half is foreground, the more so the lower the photo's number."""

    def __call__(self, photo):
        return np.array([[1 - 0.1 * int(photo.image_id[-1]), 0.0]])


class Mean:
    def __init__(self, values=()):
        self.values = list(values)

    def add(self, foreground, ids, truth):
        assert truth is None
        assert foreground.shape == ids.shape
        self.values.append(foreground.mean())

    def __iadd__(self, other):
        self.values += other.values
        return self


@THRESHOLD_RULES.register_module()
class MeanForeground(ThresholdRule):
    reads = "train"

    def counter(self, thresholds, num_categories, num_classes):
        assert thresholds[-1] == 1
        return Mean()

    def choose(self, counted):
        return Threshold(float(np.mean(counted.values)), "mean foreground")


@MATCHERS.register_module()
class BackToFront:
    def __call__(self, counts):
        return np.array([0, *range(counts.num_classes, 0, -1)])


@COUNT_METRICS.register_module()
def part_of_other(counts, scale=1.0):
    table = counts.confusion[0, 0, :-1, :-1]
    return scale * table[:, 0].sum() / table.sum()


@STAGES.register_module()
class InvertedLabels(Stage):
    """Pseudo labels with every category c made C + 1 - c."""

    roles = {"pseudo_labels": "pseudo_labels"}

    def __init__(self, name, labels):
        super().__init__(name)
        self.labels = labels

    def run(self, context):
        from luss.datasets import read_mask, write_mask

        source = Path(self.labels)
        count = context.num_categories
        paths = sorted(source.rglob("*.png"))
        for path in paths:
            ids = read_mask(path)
            target = context.work_dir.stage(self.name) / "pseudo_labels" / path.relative_to(source)
            write_mask(target, np.where(ids > 0, count + 1 - ids, 0))
        return {"labels": len(paths)}


@PROTOCOLS.register_module()
class Halves(FullyUnsupervised):
    """The fully unsupervised protocol under another name."""

    name = "halves"


@METRICS.register_module()
class ShareOfOther(BaseMetric):
    """Pixels that are predicted as 'other', in percent; of this class it is not defined."""

    default_prefix = ""

    def process(self, data_batch, data_samples):
        for sample in data_samples:
            self.results.append((sample["pred_sem_seg"]["data"] == 0).float().mean().item())

    def compute_metrics(self, results):
        share = 100 * float(np.mean(results))
        return {"other": share, "undefined": math.nan, "doubled/other": 2 * share}


@HOOKS.register_module()
class CountTests(Hook):
    """Counts the batches that were tested."""

    batches = 0

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        CountTests.batches += 1


def place(transforms):
    return [transforms[0], {"type": "BlackenCorner"}, *transforms[1:]]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that goes through all doors."""
    folder = tmp_path_factory.mktemp("doors")
    return run_tiny(folder / "run", **options())


def inverted(transforms):
    find = {"root": "${inverted.pseudo_labels}"}
    return [{**step, **find} if step["type"] == "FindMask" else step for step in transforms]


def options():
    tiny = read_tiny().to_dict()["stages"]
    views = tiny["pretrain"]["train_dataloader"]["dataset"]["pipeline"]
    crops = tiny["finetune"]["train_dataloader"]["dataset"]["pipeline"]
    evaluate = tiny["evaluate"]
    photos = {**evaluate["test_dataloader"], "splits": "${facts.splits_with_masks}"}
    return {
        "stages__pretrain__model__objectives__length": {"type": "FeatureLength"},
        "stages__pretrain__train_dataloader__dataset__pipeline": place(views),
        "stages__label_generation__test_cfg__generator": {"_delete_": True, "type": "EveryNth"},
        "stages__label_generation__test_cfg__embedder__type": "MeanColour",
        "stages__label_generation__test_cfg__embedder__scale": 3.0,
        "stages__label_generation__test_cfg__foreground__type": "LeftHalf",
        "stages__label_generation__test_cfg__threshold": {
            "_delete_": True,
            "type": "MeanForeground",
        },
        "stages__inverted": {
            "type": "InvertedLabels",
            "labels": "${label_generation.pseudo_labels}",
            "after": "label_generation",
        },
        "stages__finetune__train_dataloader__dataset__pipeline": inverted(crops),
        "stages__evaluate__protocol__matcher": {"_delete_": True, "type": "BackToFront"},
        "stages__evaluate__protocol__metrics": [
            "imagenet_s",
            "part_of_other",
        ],
        "stages__halves": {
            **evaluate,
            "protocol": {
                "type": "Halves",
                "metrics": [{"type": "part_of_other", "scale": 0.5}],
            },
        },
        "stages__shares": {
            **evaluate,
            "protocol": {"type": "Protocol", "name": "shares"},
            "test_dataloader": {**photos, "batch_size": 4},
            "test_evaluator": [{"type": "ShareOfOther"}],
            "custom_hooks": [{"type": "CountTests"}],
        },
    }


def read(path):
    return json.loads(Path(path).read_text())


def test_an_objective_is_trained(run):
    assert '"loss_length"' in next(run.glob("pretrain/*/vis_data/scalars.json")).read_text()


def test_a_label_generator_makes_the_categories(run):
    with np.load(run / "label_generation" / "centroids.npz") as arrays:
        count = len(arrays["centroids"])
        assert arrays["assignments"].tolist() == [n % count for n in range(3 * count)]


def test_an_embedder_makes_what_is_clustered(run):
    embeddings = np.load(run / "label_generation" / "embeddings.npy")
    mean, std = np.array((0.485, 0.456, 0.406)), np.array((0.229, 0.224, 0.225))
    photos = [read_image(path) for path in sorted(run.glob("data/train/*/*"))]
    expected = [3 * (photo.mean(axis=(0, 1)) / 255 - mean) / std for photo in photos]
    np.testing.assert_allclose(embeddings[:, :3], expected, rtol=1e-4, atol=1e-5)


def test_a_foreground_source_and_a_threshold_rule_make_the_labels(run):
    folder = run / "label_generation"
    found = read(folder / "threshold.json")
    assert found["method"] == "mean foreground"
    labels = sorted(folder.glob("pseudo_labels/*/*.png"))
    numbers = np.array([int(path.stem[-1]) for path in labels])
    # Bilinear from two columns, the mean is that of both.
    assert found["threshold"] == pytest.approx((1 - 0.1 * numbers).mean() / 2, abs=0.01)
    for path in labels:
        foreground = read_mask(path) > 0
        assert foreground[:, : foreground.shape[1] // 4].all()
        assert not foreground[:, -foreground.shape[1] // 4 :].any()
    maps = {
        path.relative_to(folder / "foreground" / "train")
        for path in (folder / "foreground" / "train").glob("*/*.png")
    }
    assert maps == {path.relative_to(folder / "pseudo_labels") for path in labels}
    assert not (folder / "attention").exists()


def test_an_inserted_stage_stands_between_two_others(run):
    read_by_finetune = read(run / "finetune" / "inputs.json")["stages"]
    # Which photos have no label, the label generation has noted.
    assert set(read_by_finetune) == {"pretrain", "inverted", "label_generation"}
    assert read(run / "inverted" / "inputs.json")["stages"].keys() == {"label_generation"}
    assert read(run / "inverted" / "done.json")["labels"] == 18


def test_a_matcher_makes_the_match(run):
    assert read(run / "evaluate" / "match.json") == {str(g): (7 - g) % 7 for g in range(7)}
    assert read(run / "results.json")["provenance"]["match"].startswith("BackToFront")


def test_a_metric_stands_in_the_results_under_its_name(run):
    results = read(run / "results.json")
    of_val = results["fully_unsupervised"]["val"]
    assert list(of_val)[:2] == ["mIoU", "b-mIoU"]
    assert list(of_val)[-1] == "part_of_other"
    assert 0 < of_val["part_of_other"] < 100
    (halved,) = results["halves"]["val"].items()
    assert halved == ("part_of_other", pytest.approx(of_val["part_of_other"] / 2))


def test_a_protocol_is_evaluated_by_its_name(run):
    before = read(run / "results.json")["halves"]
    assert Pipeline(read_tiny(**options()), str(run)).evaluate("halves") == before
    with pytest.raises(
        LussError, match=r"'thirds'; known are: semi_supervised, .*, halves, shares$"
    ):
        Pipeline(read_tiny(**options()), str(run)).evaluate("thirds")


def test_a_protocol_is_an_entry_in_the_config(run):
    """Its model is tested on six images a split, in batches of four."""
    results = read(run / "results.json")
    for split, short in (("validation", "val"), ("test", "test")):
        masks = list((run / "evaluate" / "predictions" / split).rglob("*.png"))
        share = 100 * np.mean([(read_mask(mask) == 0).mean() for mask in masks])
        assert results["shares"][short] == {"other": pytest.approx(share), "undefined": None}
        assert results["shares_doubled"][short]["other"] == pytest.approx(2 * share)
    assert CountTests.batches == 4
    assert results["provenance"]["shares"]["checkpoint"] == "finetune/iter_12.pth"


def test_the_configuration_of_a_protocol_runs_by_itself(run):
    config = Config.fromfile(run / "evaluate" / "config.py")
    found = tables_of_variants(RUNNERS.build(config).test(), "fully_unsupervised")
    results = read(run / "results.json")
    assert found == {name: results[name] for name in found}


def test_a_transform_changes_the_views(run):
    from luss.registry import DATASETS

    config = {"type": "ImageNetS", "data_root": str(run / "data"), "split": "train"}
    pipeline = place([{"type": "LoadRGBImage"}, {"type": "PackInputs"}])
    image = DATASETS.build({**config, "pipeline": pipeline})[0]["inputs"]
    assert not image[:, :4, :4].any()
    assert image[:, 4:, 4:].any()


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (
            ["mine"],
            "fully_unsupervised: there is no metric 'mine'; known are: .*imagenet_s, ",
        ),
        ([{"type": "part_of_other", "scael": 2}], "'part_of_other'.*scael"),
        ("imagenet_s", r"expected a list of names such as \w+"),
        ([], "expected a list of names"),
    ],
)
def test_metrics_that_are_none_are_refused_first(tmp_path, metrics, message):
    with pytest.raises(LussError, match=message):
        Pipeline(read_tiny(stages__evaluate__protocol__metrics=metrics), str(tmp_path))


def test_named_metrics_are_those_of_the_functions():
    counts = Counts.zeros(2)
    counts.add(count_image(np.array([[0, 1, 1, 2]]), np.array([[0, 0, 1, 2]]), 2))
    expected = {**compute_metrics(counts), "part_of_other": 0.5}
    np.testing.assert_equal(named_metrics(["imagenet_s", "part_of_other"])(counts), expected)
    with pytest.raises(LussError, match="part_of_other twice"):
        named_metrics(["part_of_other", {"type": "part_of_other", "scale": 2}])(counts)
