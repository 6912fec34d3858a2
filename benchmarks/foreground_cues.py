"""How well sources of foreground tell objects from 'other', without a run.

AUC of foreground against 'other', the mean over images and over the pixels of all images; and the
best IoU of the foreground over thresholds, one for all images, which is chosen on these very masks.
With a pretrained backbone, sources that read its features are compared, too. For those of a trained
model, and what follows from them, see ``tools/analyze_foreground.py``.

    python benchmarks/foreground_cues.py DATA --split validation
    python benchmarks/foreground_cues.py DATA --backbone efficientnet_lite0 --weights FILE
"""

import argparse
import sys
from pathlib import Path

import torch
from mmengine.registry import init_default_scope
from prettytable import PrettyTable

from luss.command_line import exit_cleanly
from luss.datasets import ImageNetS
from luss.datasets.mask_codec import read_item_mask
from luss.engine.checkpoint import load
from luss.label_generation.foreground import FrameDistance, LazyPhoto, resize_map
from luss.models import BackboneFeatures
from luss.models.backbones import probe
from luss.models.backbones.filling import fill_from
from luss.models.backbones.presets import backbone_settings
from luss.models.backbones.weights import WeightsEntry

sys.path.append(str(Path(__file__).resolve().parents[1] / "projects"))
from foreground_analysis.quality import ForegroundCounts
from foreground_analysis.sources import build_sources

_COLUMNS = ("AUC within images", "AUC over images", "best IoU")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_root")
    parser.add_argument("--split", default="validation")
    parser.add_argument("--backbone", help="a preset, see luss backbones")
    parser.add_argument("--weights", help="file of the backbone's weights")
    parser.add_argument("--short-side", type=int, default=224, help="of the backbone's images")
    args = parser.parse_args()
    if bool(args.backbone) != bool(args.weights):
        parser.error("give both --backbone and --weights, or neither")
    init_default_scope("luss")
    steps, model = None, None
    if args.backbone:
        settings = backbone_settings(args.backbone, args.weights)
        model = load_model(settings)
        resize = {"size": args.short_side, "multiple_of": settings["multiple"]}
        steps = [
            {"type": "LoadRGBImage"},
            {"type": "ResizeShortSide", **resize},
            {"type": "PackInputs"},
        ]
    sources = dict(build_sources(None, {"type": "CentrePrior"}, model))
    if model is not None and (count := len(probe(model.backbone))) > 1:
        for place in range(count):
            sources[f"FrameDistance, map {place}"] = FrameDistance(maps=(place,))
    counts = {name: ForegroundCounts() for name in sources}
    photos = ImageNetS(args.data_root, args.split, require_masks=True, pipeline=steps or [])
    for index in range(len(photos)):
        item, inputs = photos.get_data_info(index), None
        if model is not None:
            image = photos[index]["inputs"][None]
            inputs = model.data_preprocessor({"inputs": [image]})["inputs"][0]
        photo = LazyPhoto(
            item["image_id"], item["img_path"], args.split, inputs=inputs, model=model
        )
        truth = read_item_mask(item)
        for name, source in sources.items():
            with torch.no_grad():
                values = source(photo)
            counts[name].add(resize_map(values, truth.shape), truth)
    table = PrettyTable(["map", *_COLUMNS], align="r")
    for name, counted in counts.items():
        found = counted.quality()
        table.add_row([name, *(f"{found[column]:.3f}" for column in _COLUMNS)])
    print(table)


def load_model(settings: dict) -> BackboneFeatures:
    """Build the backbone of a preset, with its weights, in evaluation mode."""
    scale = {"mean": settings["mean"], "std": settings["std"]}
    model = BackboneFeatures(settings["backbone"], {"type": "ViewPreprocessor", **scale})
    entry = WeightsEntry.parse(settings["weights"], "--weights")
    fill_from(model.backbone, load(entry.path), entry)
    return model.eval()


if __name__ == "__main__":
    with exit_cleanly():
        main()
