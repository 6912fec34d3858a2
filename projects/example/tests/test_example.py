"""Each component alone, and the config of the project on a handful of drawn pictures."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from example import IoUMatcher, Variance, WardClusters, frequency_weighted_iou, variance_loss
from luss.configuration import read_config
from luss.errors import LussError
from luss.evaluation import Counts, count_image
from luss.pipeline import Pipeline
from luss.structures import ViewFeatures

CONFIG = Path(__file__).parents[1] / "configs" / "example.py"
TRAINED = ("pretrain", "pixel_attention", "finetune")
SMALL = {
    "num_workers": 0,
    "data.size": 48,
    "data.train": 3,
    "data.train_semi": 1,
    "data.validation": 1,
    "data.test": 1,
    **{f"stages.{stage}.train_dataloader.batch_size": 4 for stage in TRAINED},
    **{f"stages.{stage}.train_cfg.max_epochs": 1 for stage in TRAINED},
}


def test_variance_of_two_points():
    # Standard deviation of (0, 2d) with N - 1 below: d * sqrt(2).
    embeddings = torch.tensor([[0.0, 0.0], [1.0, 8.0]])
    expected = (1 - np.sqrt(0.5)) / 2
    assert variance_loss(embeddings, epsilon=0).item() == pytest.approx(expected, abs=1e-6)


def test_variance_is_taken_within_views():
    views = ViewFeatures([{4: torch.arange(4.0).reshape(4, 1, 1, 1)}], batch_size=2, geometry=[])
    expected = variance_loss(torch.tensor([[0.0], [1.0]]))
    assert Variance()(views)[""].item() == pytest.approx(expected.item(), abs=1e-6)


def test_ward_finds_directions():
    angles = np.deg2rad([0, 3, 90, 92, 180, 181, 183])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.arange(1, 8)[:, None]
    found = WardClusters(3).fit(features)
    first = found.assignments[[0, 2, 4]]
    assert sorted(first) == [0, 1, 2]
    assert found.assignments.tolist() == first[[0, 0, 1, 1, 2, 2, 2]].tolist()
    assert found.centroids.shape == (3, 2)
    with pytest.raises(LussError, match="at least 8; it was given 7"):
        WardClusters(8).fit(features)


def counts_of(predicted, true):
    counts = Counts.zeros(2)
    counts.add(count_image(np.array([predicted]), np.array([true]), 2))
    return counts


def test_matching_by_iou_where_overlap_says_otherwise():
    # Overlap: (1 -> 1, 2 -> 2) shares 3 + 2 pixels, (1 -> 2, 2 -> 1) shares 5 + 1.
    # IoU: 3/9 + 2/6 against 5/10 + 1/4.
    counts = counts_of([1] * 9 + [2] * 3, [1] * 3 + [2] * 5 + [0] + [1] + [2] * 2)
    pixels = counts.confusion[0, 0, 1:-1, 1:-1]
    assert pixels.tolist() == [[3, 5], [1, 2]]
    assert IoUMatcher()(counts).tolist() == [0, 2, 1]


def test_frequency_weighted_iou_by_hand():
    # 'other': 1 of 2, two pixels; class 1: 2 of 3, two pixels.
    counts = counts_of([0, 1, 1, 1], [0, 0, 1, 1])
    assert frequency_weighted_iou(counts) == pytest.approx((2 * 1 / 2 + 2 * 2 / 3) / 4)


def test_the_config_runs(tmp_path):
    assert len(CONFIG.read_text().splitlines()) <= 20
    config = read_config(CONFIG, SMALL)
    config.stages.pop("report")
    Pipeline(config, str(tmp_path)).run()
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["provenance"]["match"] == "IoUMatcher on validation masks"
    assert 0 <= results["fully_unsupervised"]["val"]["fwIoU"] <= 100
    scalars = next(tmp_path.glob("pretrain/*/vis_data/scalars.json")).read_text()
    assert "loss_variance" in scalars
