"""Print and plot what an ImageNet-S split root holds: images, classes, object sizes, positions."""

import argparse
import sys
from pathlib import Path

from luss.command_line import exit_cleanly


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", help="the split root, with train, validation ...")
    parser.add_argument("--out", help="folder of plots (default: dataset_stats/<name of the root>)")
    parser.add_argument("--jobs", type=int, default=1, help="processes that read masks")
    parser.add_argument("--per-class", action="store_true", help="print a row for each class")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from prettytable import PrettyTable

    from luss.datasets.imagenet_s import SPLITS, ImageNetS
    from luss.datasets.mask_check import mask_doubts
    from luss.datasets.photo_check import quick_doubts
    from luss.datasets.statistics import count_split
    from luss.datasets.statistics_plots import plot_statistics
    from luss.files import create_output_folder, output_folder, write_json

    root = Path(args.root)
    out = output_folder(args.out or Path("dataset_stats") / root.resolve().name, "--out")
    present = [split for split in SPLITS if (root / split).is_dir()]
    datasets = {split: ImageNetS(str(root), split) for split in present or ["train"]}
    splits = {split: count_split(dataset, args.jobs) for split, dataset in datasets.items()}
    names = next(iter(datasets.values())).metainfo["classes"]

    print(f"{root}: {len(names) - 1} classes")
    table = PrettyTable(["split", "images", "masks", "1 category", "2", ">2", "S", "MS", "ML", "L"])
    table.align = "r"
    for split, counts in splits.items():
        row = [split, f"{counts.images:,}", f"{counts.with_mask:,}"]
        if counts.with_mask:
            held = counts.categories
            row += [f"{int(n):,}" for n in (held[1], held[2:3].sum(), held[3:].sum())]
            row += [f"{n:,}" for n in counts.size_groups().values()]
        table.add_row(row + ["-"] * (len(table.field_names) - len(row)))
    print(table)
    if args.per_class:
        for split, counts in splits.items():
            print(_per_class_table(PrettyTable, split, names, counts))

    for split, counts in splits.items():
        dataset = datasets[split]
        for doubt in [*mask_doubts(dataset, counts), *quick_doubts(dataset)]:
            print(f"warning: {split}: {doubt}", file=sys.stderr)

    summaries = {split: counts.summary(names) for split, counts in splits.items()}
    create_output_folder(out)
    write_json(out / "statistics.json", {"root": str(root), "splits": summaries})
    for path in [out / "statistics.json", *plot_statistics(splits, out)]:
        print(f"wrote {path}")


def _per_class_table(table_type, split, names, counts):
    table = table_type(["id", "class", "images in its folder", "images with it", "pixels"])
    table.title = split
    table.align = "r"
    for index, name in enumerate(names):
        row = [index, name, counts.of_folder[index], counts.with_class[index], counts.pixels[index]]
        table.add_row(row)
    return table


if __name__ == "__main__":
    with exit_cleanly():
        main()
