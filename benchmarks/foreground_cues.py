"""How well sources of foreground that need no model tell objects from 'other'.

AUC of foreground against 'other', the mean over images and over the pixels of all images; and the
best IoU of the foreground over thresholds, one for all images, which is chosen on these very masks.
For those of a trained model, and what follows from them, see ``tools/analyze_foreground.py``.

    python benchmarks/foreground_cues.py DATA --split validation
"""

import argparse

from mmengine.registry import init_default_scope
from prettytable import PrettyTable

from luss.command_line import exit_cleanly
from luss.datasets import ImageNetS
from luss.evaluation.foreground_quality import ForegroundCounts
from luss.label_generation.foreground import Photo, resize_map
from luss.label_generation.foreground.compared import build_to_compare, sources_to_compare
from luss.label_generation.foreground.source import as_array

_PIPELINE = [{"type": "LoadRGBImage"}, {"type": "LoadMask"}, {"type": "PackInputs"}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_root")
    parser.add_argument("--split", default="validation")
    args = parser.parse_args()
    init_default_scope("luss")
    sources = build_to_compare(sources_to_compare(with_model=False))
    counts = {name: ForegroundCounts() for name in sources}
    for item in ImageNetS(args.data_root, args.split, require_masks=True, pipeline=_PIPELINE):
        sample = item["data_samples"]
        photo = Photo(sample.image_id, sample.img_path, args.split, sample=sample)
        truth = sample.gt_sem_seg.data[0].numpy()
        for name, source in sources.items():
            counts[name].add(resize_map(as_array(source(photo)), truth.shape), truth)
    table = PrettyTable(["map", "AUC within images", "AUC over images", "best IoU"])
    table.align = "r"
    for name, counted in counts.items():
        found = counted.quality()
        row = found.auc_within, found.auc_over, found.best_iou[0]
        table.add_row([name, *(f"{figure:.3f}" for figure in row)])
    print(table)


if __name__ == "__main__":
    with exit_cleanly():
        main()
