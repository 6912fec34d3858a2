"""How well maps of foreground from a photo alone tell objects from 'other'.

AUC of foreground against 'other', the mean over images and over the pixels of all images; and the
best IoU of the foreground over thresholds, one for all images, which is chosen on these very masks.

    python benchmarks/foreground_cues.py DATA --split validation
"""

import argparse

import numpy as np
from prettytable import PrettyTable
from scipy.stats import rankdata

from luss.command_line import exit_cleanly
from luss.datasets import IGNORE_ID, ImageNetS, read_mask
from luss.datasets.image_io import read_image
from luss.label_generation.foreground import (
    boundary_prior,
    centre_prior,
    mean_of_ranks,
    refine_by_grabcut,
    region_contrast,
)

_EVERY = 7
_CUTS = 50


def cues(image: np.ndarray) -> dict[str, np.ndarray]:
    """All maps (H, W) of a photo (H, W, 3), by name."""
    centre = centre_prior(*image.shape[:2])
    boundary = boundary_prior(image)
    contrast = region_contrast(image)
    joined = mean_of_ranks([boundary * centre, contrast])
    return {
        "centre": centre,
        "boundary prior": boundary,
        "boundary prior x centre": boundary * centre,
        "region contrast": contrast,
        "mean of ranks of the last two": joined,
        "the same, GrabCut": refine_by_grabcut(image, joined),
    }


def auc(values: np.ndarray, truth: np.ndarray) -> float:
    """Chance that a pixel of the foreground has a higher value than one of 'other'; NaN if none."""
    inside, outside = int(truth.sum()), int((~truth).sum())
    if not inside or not outside:
        return float("nan")
    return (rankdata(values)[truth].sum() - inside * (inside + 1) / 2) / (inside * outside)


def best_iou(values: np.ndarray, truth: np.ndarray) -> float:
    """The largest IoU of ``values >= cut`` with the truth, over cuts at quantiles."""
    found = (values >= cut for cut in np.quantile(values, np.linspace(0, 1, _CUTS)))
    return max((mask & truth).sum() / (mask | truth).sum() for mask in found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_root")
    parser.add_argument("--split", default="validation")
    args = parser.parse_args()
    dataset = ImageNetS(args.data_root, args.split, require_masks=True)
    within: dict[str, list[float]] = {}
    pixels: dict[str, list[np.ndarray]] = {}
    truths = []
    for index in range(len(dataset)):
        item = dataset.get_data_info(index)
        mask = read_mask(item["seg_map_path"])
        kept = mask != IGNORE_ID
        truth = mask[kept] > 0
        truths.append(truth[::_EVERY])
        for name, values in cues(read_image(item["img_path"])).items():
            within.setdefault(name, []).append(auc(values[kept], truth))
            pixels.setdefault(name, []).append(values[kept][::_EVERY])
    over = np.concatenate(truths)
    table = PrettyTable(["map", "AUC within images", "AUC over images", "best IoU"])
    table.align = "r"
    for name, values in pixels.items():
        joined = np.concatenate(values)
        row = np.nanmean(within[name]), auc(joined, over), best_iou(joined, over)
        table.add_row([name, *(f"{figure:.3f}" for figure in row)])
    print(table)


if __name__ == "__main__":
    with exit_cleanly():
        main()
