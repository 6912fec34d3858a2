"""How well sources of foreground that need no model tell objects from 'other'.

AUC of foreground against 'other', the mean over images and over the pixels of all images; and the
best IoU of the foreground over thresholds, one for all images, which is chosen on these very masks.
For those of a trained model, and what follows from them, see ``tools/analyze_foreground.py``.

    python benchmarks/foreground_cues.py DATA --split validation
"""

import argparse
import sys
from pathlib import Path

from mmengine.registry import init_default_scope
from prettytable import PrettyTable

from luss.command_line import exit_cleanly
from luss.datasets import ImageNetS
from luss.datasets.mask_codec import read_item_mask
from luss.label_generation.foreground import LazyPhoto, resize_map

sys.path.append(str(Path(__file__).resolve().parents[1] / "projects"))
from foreground_analysis.quality import ForegroundCounts
from foreground_analysis.sources import build_sources

_COLUMNS = ("AUC within images", "AUC over images", "best IoU")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_root")
    parser.add_argument("--split", default="validation")
    args = parser.parse_args()
    init_default_scope("luss")
    sources = build_sources(None, {"type": "CentrePrior"}, None)
    counts = {name: ForegroundCounts() for name in sources}
    photos = ImageNetS(args.data_root, args.split, require_masks=True)
    for item in map(photos.get_data_info, range(len(photos))):
        photo = LazyPhoto(item["image_id"], item["img_path"], args.split)
        truth = read_item_mask(item)
        for name, source in sources.items():
            counts[name].add(resize_map(source(photo), truth.shape), truth)
    table = PrettyTable(["map", *_COLUMNS], align="r")
    for name, counted in counts.items():
        found = counted.quality()
        table.add_row([name, *(f"{found[column]:.3f}" for column in _COLUMNS)])
    print(table)


if __name__ == "__main__":
    with exit_cleanly():
        main()
