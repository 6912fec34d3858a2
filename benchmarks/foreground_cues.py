"""How well sources of foreground tell objects from 'other'.

AUC of foreground against 'other', the mean over images and over the pixels of all images; and the
best IoU of the foreground over thresholds, one for all images, which is chosen on these very masks.
With the work dir of a run, the sources that look at its trained model are compared as well.

    python benchmarks/foreground_cues.py DATA --split validation --work-dir WORK_DIR
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from mmengine import Config
from mmengine.registry import init_default_scope
from prettytable import PrettyTable
from scipy.stats import rankdata

from luss.command_line import exit_cleanly
from luss.datasets import IGNORE_ID, ImageNetS
from luss.engine.checkpoint import load, load_weights, required_checkpoint
from luss.label_generation.foreground import Photo, resize_map
from luss.label_generation.foreground.source import as_array
from luss.registry import FOREGROUND_SOURCES, MODELS

_EVERY = 7
_CUTS = 50
_PIPELINE = [{"type": "LoadRGBImage"}, {"type": "LoadMask"}, {"type": "PackInputs"}]

CENTRE = {"type": "CentrePrior"}
BOUNDARY = {"type": "BoundaryPrior"}
CONTRAST = {"type": "RegionContrast"}
NEAR = {"type": "ProductOfMaps", "sources": [BOUNDARY, CENTRE]}
JOINED = {"type": "MeanOfRanks", "sources": [NEAR, CONTRAST]}
CUT = {"type": "FeatureCut", "finer": 4}
ATTENTION = {"type": "Attention"}

OF_PHOTOS = {
    "centre": CENTRE,
    "boundary prior": BOUNDARY,
    "boundary prior x centre": NEAR,
    "region contrast": CONTRAST,
    "mean of ranks of the last two": JOINED,
    "the same, GrabCut": {"type": "GrabCut", "source": JOINED},
    "the same, PAMR": {"type": "PAMR", "source": JOINED},
}
OF_MODELS = {
    "attention": ATTENTION,
    "attention, PAMR": {"type": "PAMR", "source": ATTENTION},
    "cut of features, stride as it is": {"type": "FeatureCut", "finer": 1},
    "cut of features, 2 x finer": {"type": "FeatureCut", "finer": 2},
    "cut of features, 4 x finer": CUT,
    "the last, without colours": {**CUT, "colour_share": 0.0},
    "cut x centre": {"type": "ProductOfMaps", "sources": [CUT, CENTRE]},
    "attention, cut and photo: product of ranks": {
        "type": "ProductOfRanks",
        "sources": [ATTENTION, CUT, JOINED],
    },
}


def read_model(work_dir: Path) -> tuple[torch.nn.Module, list[dict]]:
    """The model of a run's label generation, and the pipeline of the photos that it sees."""
    stages = Config.fromfile(work_dir / "config.py").stages
    labels = stages.label_generation
    trained = labels.get("model_from", "pixel_attention")
    config = {**stages[trained].model, "data_preprocessor": dict(labels.preprocessor)}
    model = MODELS.build(config)
    path = required_checkpoint(work_dir / trained)
    load_weights(model, load(path), path)
    return model.eval(), labels.pixels.pipeline


def photos(
    data_root: str, split: str, model: torch.nn.Module | None, pipeline: list[dict]
) -> Iterator[tuple[Photo, np.ndarray]]:
    """Yield each photo and its true mask (H, W)."""
    dataset = ImageNetS(data_root, split, require_masks=True, pipeline=pipeline)
    for item in dataset:
        sample, inputs = item["data_samples"], None
        if model is not None:
            inputs = model.data_preprocessor({"inputs": [item["inputs"][None]]})["inputs"][0]
        photo = Photo(
            sample.image_id, sample.img_path, split, inputs=inputs, model=model, sample=sample
        )
        yield photo, sample.gt_sem_seg.data[0].numpy()


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


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_root")
    parser.add_argument("--split", default="validation")
    parser.add_argument("--work-dir", type=Path, help="of a run, for the sources of its model")
    args = parser.parse_args()
    init_default_scope("luss")
    model, pipeline = read_model(args.work_dir) if args.work_dir else (None, _PIPELINE)
    configs = {**OF_PHOTOS, **(OF_MODELS if model is not None else {})}
    sources = {name: FOREGROUND_SOURCES.build(config) for name, config in configs.items()}
    within: dict[str, list[float]] = {name: [] for name in sources}
    pixels: dict[str, list[np.ndarray]] = {name: [] for name in sources}
    truths = []
    for photo, mask in photos(args.data_root, args.split, model, pipeline):
        kept = mask != IGNORE_ID
        truth = mask[kept] > 0
        truths.append(truth[::_EVERY])
        for name, source in sources.items():
            values = resize_map(as_array(source(photo)), mask.shape)[kept]
            within[name].append(auc(values, truth))
            pixels[name].append(values[::_EVERY])
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
