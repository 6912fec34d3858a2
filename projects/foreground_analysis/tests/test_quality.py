"""Foreground against 'other' without a threshold: slow references and closed forms."""

import numpy as np
import pytest
import torch
from scipy.stats import rankdata

from foreground_analysis.quality import LEVELS, ForegroundCounts, attention_spread, auc
from luss.datasets.mask_codec import IGNORE_ID
from luss.errors import LussError
from luss.evaluation.counting import count_image
from luss.evaluation.counts import F_BETA_UNIT


def auc_of_ranks(values, inside):
    """By the ranks of all pixels, ties in the middle."""
    first, second = int(inside.sum()), int((~inside).sum())
    rank_sum = rankdata(values)[inside].sum()
    return (rank_sum - first * (first + 1) / 2) / (first * second)


def scene(seed, levels=256):
    """A map of whole levels and a mask with classes, 'other' and ignored pixels."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, levels, (13, 17)) / (levels - 1)
    truth = rng.choice([0, 0, 1, 2, IGNORE_ID], (13, 17))
    return np.float32(values), truth


@pytest.mark.parametrize("levels", [256, LEVELS])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_auc_of_8_bit_maps_is_exact(seed, levels):
    values, truth = scene(seed)
    counts = ForegroundCounts(levels)
    counts.add(values, truth)
    kept = truth != IGNORE_ID
    expected = auc_of_ranks(values[kept], truth[kept] > 0)
    quality = counts.quality()
    assert quality["AUC within images"] == pytest.approx(expected, abs=1e-12)
    assert quality["AUC over images"] == pytest.approx(expected, abs=1e-12)


def test_auc_within_is_the_mean_of_photos_and_over_that_of_all_pixels():
    scenes = [scene(seed) for seed in range(3)]
    # A photo of 'other' alone has no AUC, but its pixels count over all.
    scenes.append((scenes[0][0] / 2, np.zeros_like(scenes[0][1])))
    counts = ForegroundCounts()
    for values, truth in scenes:
        counts.add(values, truth)
    kept = [(v[t != IGNORE_ID], t[t != IGNORE_ID] > 0) for v, t in scenes]
    quality = counts.quality()
    within = np.mean([auc_of_ranks(*each) for each in kept[:3]])
    assert quality["AUC within images"] == pytest.approx(within, abs=1e-12)
    # Half a level of 8 bits is not a level of 16 bits; rounding moves ties by less than this.
    over = auc_of_ranks(*map(np.concatenate, zip(*kept, strict=True)))
    assert quality["AUC over images"] == pytest.approx(over, abs=1e-3)
    assert quality["deviation"] == pytest.approx(np.mean([v.std() for v, _ in kept]), abs=1e-6)


def test_perfect_reversed_and_flat_histograms():
    assert auc([0, 0, 5], [3, 0, 0]) == 1
    assert auc([5, 0, 0], [0, 0, 3]) == 0
    assert auc([0, 4, 0], [0, 9, 0]) == 0.5
    # Of 2 x 3 pairs 3 are right, and 2 are ties.
    assert auc([1, 0, 1], [2, 1, 0]) == pytest.approx((3 + 2 / 2) / 6)
    assert np.isnan(auc([0, 0], [1, 2]))


def test_iou_and_f_beta_are_those_of_the_evaluation_at_each_threshold():
    scenes = [scene(seed, levels=101) for seed in range(3)]
    counts = ForegroundCounts(levels=101)
    for values, truth in scenes:
        counts.add(values, truth)
    quality = counts.quality()
    curves = quality["curves"]
    for place, threshold in enumerate(curves["thresholds"]):
        union = intersection = f_beta = 0
        for values, truth in scenes:
            found = values >= np.float32(threshold) - 1e-6
            inside, kept = (truth > 0) & (truth != IGNORE_ID), truth != IGNORE_ID
            intersection += (found & inside).sum()
            union += ((found & kept) | inside).sum()
            f_beta += count_image(found.astype(int), truth, 2, boundary=False).f_beta / F_BETA_UNIT
        assert curves["IoU"][place] == pytest.approx(100 * intersection / union, abs=1e-10)
        assert curves["F_beta"][place] == pytest.approx(100 * f_beta / 3, abs=1e-7)
    for name in ("IoU", "F_beta"):
        assert quality[f"best {name}"] == max(curves[name])
        best = curves["thresholds"][int(np.argmax(curves[name]))]
        assert quality[f"{name} threshold"] == pytest.approx(best)


def test_what_does_not_fit_is_refused():
    counts = ForegroundCounts()
    with pytest.raises(LussError, match=r"\(2, 3\).*\(3, 2\)"):
        counts.add(np.zeros((2, 3)), np.zeros((3, 2), int))
    with pytest.raises(LussError, match=r"Expected 0\.\.1"):
        counts.add(np.full((2, 2), np.nan), np.zeros((2, 2), int))
    counts.add(np.zeros((2, 2)), np.full((2, 2), IGNORE_ID))
    with pytest.raises(LussError, match="no photo"):
        counts.quality()


def test_spread_of_attention_against_the_matrix_of_correlations():
    maps = torch.rand(5, 6, 7, generator=torch.Generator().manual_seed(0))
    found = attention_spread(maps)
    flat = maps.flatten(1).numpy().astype(np.float64)
    assert found.of_mean == pytest.approx(flat.mean(axis=0).std())
    assert np.allclose(found.of_channels, flat.std(axis=1))
    pairs = np.corrcoef(flat)[~np.eye(5, dtype=bool)]
    assert found.correlation == pytest.approx(pairs.mean())


def test_flat_channels_have_no_correlation():
    alike = torch.arange(6.0).reshape(1, 2, 3).repeat(3, 1, 1)
    alike[2] = 0.25
    found = attention_spread(alike)
    assert found.correlation == pytest.approx(1)
    assert found.of_channels[2] == 0
    assert attention_spread(alike[:1]).correlation == pytest.approx(0)
