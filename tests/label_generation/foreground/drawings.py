"""Drawings whose foreground is known, and how well a map tells it."""

import numpy as np
from scipy.stats import mannwhitneyu


def drawing(seed=0, height=60, width=80):
    """A reddish disc, off the centre, on two kinds of greenish ground; and where it is."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    disc = (y - 0.45 * height) ** 2 + (x - 0.6 * width) ** 2 < (0.22 * height) ** 2
    image = np.where((x < width // 3)[..., None], (60, 140, 70), (110, 160, 90))
    image = np.where(disc[..., None], (200, 70, 60), image) + draw.normal(0, 8, (height, width, 3))
    return image.clip(0, 255).astype(np.uint8), disc


def auc(values, truth):
    inside, outside = values[truth], values[~truth]
    return mannwhitneyu(inside, outside).statistic / (inside.size * outside.size)
