"""Foreground against 'other' without a threshold: slow references and closed forms."""

import numpy as np
import pytest
import torch
from scipy.stats import rankdata

from luss.datasets.mask_codec import IGNORE_ID
from luss.errors import LussError
from luss.evaluation.counting import count_image
from luss.evaluation.counts import F_BETA_UNIT
from luss.evaluation.foreground_quality import (
    LEVELS,
    AttentionSpread,
    ForegroundCounts,
    attention_spread,
    auc_from_histograms,
)


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
    assert quality.auc_within == pytest.approx(expected, abs=1e-12)
    assert quality.auc_over == pytest.approx(expected, abs=1e-12)


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
    assert quality.auc_within == pytest.approx(within, abs=1e-12)
    # Half a level of 8 bits is no level of 16 bits; rounding moves ties by less than this.
    over = auc_of_ranks(*map(np.concatenate, zip(*kept, strict=True)))
    assert quality.auc_over == pytest.approx(over, abs=1e-3)
    assert quality.deviation == pytest.approx(np.mean([v.std() for v, _ in kept]), abs=1e-6)


def test_perfect_reversed_and_flat_histograms():
    assert auc_from_histograms([0, 0, 5], [3, 0, 0]) == 1
    assert auc_from_histograms([5, 0, 0], [0, 0, 3]) == 0
    assert auc_from_histograms([0, 4, 0], [0, 9, 0]) == 0.5
    # Of 2 x 3 pairs 3 are right, and 2 are ties.
    assert auc_from_histograms([1, 0, 1], [2, 1, 0]) == pytest.approx((3 + 2 / 2) / 6)
    assert np.isnan(auc_from_histograms([0, 0], [1, 2]))


def test_iou_and_f_beta_are_those_of_the_evaluation_at_each_threshold():
    scenes = [scene(seed, levels=101) for seed in range(3)]
    counts = ForegroundCounts(levels=101)
    for values, truth in scenes:
        counts.add(values, truth)
    quality = counts.quality()
    for place, threshold in enumerate(quality.thresholds):
        union = intersection = f_beta = 0
        for values, truth in scenes:
            found = values >= np.float32(threshold) - 1e-6
            inside, kept = (truth > 0) & (truth != IGNORE_ID), truth != IGNORE_ID
            intersection += (found & inside).sum()
            union += ((found & kept) | inside).sum()
            f_beta += count_image(found.astype(int), truth, 2, boundary=False).f_beta / F_BETA_UNIT
        assert quality.iou[place] == pytest.approx(intersection / union, abs=1e-12)
        assert quality.f_beta[place] == pytest.approx(f_beta / 3, abs=1e-9)
    assert quality.best_iou[0] == quality.iou.max()
    assert quality.best_iou[1] == pytest.approx(quality.thresholds[quality.iou.argmax()])
    assert quality.best_f_beta[0] == quality.f_beta.max()


def test_counts_of_parts_add_up():
    whole, first, second = ForegroundCounts(), ForegroundCounts(), ForegroundCounts()
    for part, seed in ((first, 0), (second, 1), (second, 2)):
        part.add(*scene(seed))
        whole.add(*scene(seed))
    first += second
    assert first.quality().auc_within == pytest.approx(whole.quality().auc_within)
    assert first.quality().auc_over == whole.quality().auc_over
    assert np.allclose(first.quality().f_beta, whole.quality().f_beta)
    with pytest.raises(LussError, match="256 levels"):
        first += ForegroundCounts(256)


def test_what_does_not_fit_is_refused():
    counts = ForegroundCounts()
    with pytest.raises(LussError, match=r"\(2, 3\).*\(3, 2\)"):
        counts.add(np.zeros((2, 3)), np.zeros((3, 2), int))
    with pytest.raises(LussError, match=r"Expected 0\.\.1"):
        counts.add(np.full((2, 2), np.nan), np.zeros((2, 2), int))
    counts.add(np.zeros((2, 2)), np.full((2, 2), IGNORE_ID))
    with pytest.raises(LussError, match="no photo"):
        counts.quality()
    with pytest.raises(LussError, match="levels is 1"):
        ForegroundCounts(1)


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


def test_spreads_are_averaged_over_photos():
    maps = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    total = AttentionSpread()
    for each in maps:
        total += attention_spread(each)
    parts = [attention_spread(each) for each in maps]
    assert total.mean().of_mean == pytest.approx(np.mean([p.of_mean for p in parts]))
    assert np.allclose(total.mean().of_channels, (parts[0].of_channels + parts[1].of_channels) / 2)
