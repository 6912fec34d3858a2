"""Draw the pictures of the documentation from a finished run.

    python docs/make_pictures.py WORK_DIR

A run of ``configs/pass/pass_s_demo.py`` shows pictures that luss draws itself: photos of others do
not belong into the documentation.
"""

import argparse
import re
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from luss.command_line import exit_cleanly
from luss.errors import LussError
from luss.files import atomic_write
from luss.visualization.scalars import read_scalars

PICTURES = Path(__file__).resolve().parent / "pictures"
SIDE = 96
GAP = 6
MARGIN = 104
COLOURS = 96
"""A palette of so many colours keeps the files small."""
PAPER, INK = "white", "#444"
_ROW = re.compile(r'<article class="photo">(.*?)</article>', re.DOTALL)
_PANEL = re.compile(r'<figure><img src="([^"]+)".*?<b>(.*?)</b>', re.DOTALL)
_CARD = re.compile(
    r'<article class="card"><h3>.*?</i>(.*?)</span>.*?<small>(.*?)</small>(.*?)</article>',
    re.DOTALL,
)


def main() -> None:
    """Draw all of them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("work_dir", type=Path, metavar="WORK_DIR")
    parser.add_argument("--out", type=Path, default=PICTURES, metavar="DIR")
    parser.add_argument("--photos", type=int, default=6, help="in the gallery (default: 6)")
    args = parser.parse_args()
    report = args.work_dir / "report"
    if not (report / "done.json").exists():
        raise LussError(f"{report} is not whole; finish the run with --resume")
    page = (report / "index.html").read_text(encoding="utf-8")
    pictures = {
        "gallery": gallery(page, report, args.photos),
        "discovered": discovered(page, report),
        "losses": losses(args.work_dir),
    }
    for name, picture in pictures.items():
        path = args.out / f"{name}.png"
        small = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        with atomic_write(path) as file:
            small.save(file, "PNG", optimize=True)
        print(f"{path}: {path.stat().st_size / 1024:.0f} KiB")


def gallery(page: str, report: Path, count: int) -> Image.Image:
    """Photos of the report, a column each: photo, prediction, truth, map of foreground."""
    rows = [_PANEL.findall(row) for row in _ROW.findall(page)]
    chosen = rows[:: max(1, len(rows) // count)][:count]
    headings = [name for _, name in chosen[0]]
    columns = [[report / path for path, _ in row] for row in chosen]
    return sheet(headings, list(zip(*columns, strict=True)))


def discovered(page: str, report: Path) -> Image.Image:
    """Training photos of each discovered category, a row each."""
    headings, rows = [], []
    for name, count, strip in _CARD.findall(page):
        number = name.partition(":")[0]
        headings.append(f"{number}\n{count}")
        rows.append([report / path for path in re.findall(r'<img src="([^"]+)"', strip)][:7])
    return sheet(headings, rows)


def sheet(headings: list[str], rows: list) -> Image.Image:
    """Pictures in rows, with the name of each row on its left."""
    width = MARGIN + max(map(len, rows)) * (SIDE + GAP)
    canvas = Image.new("RGB", (width, len(rows) * (SIDE + GAP) - GAP), PAPER)
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    for index, (heading, paths) in enumerate(zip(headings, rows, strict=True)):
        top = index * (SIDE + GAP)
        pen.multiline_text((2, top + SIDE // 2), heading, INK, font, anchor="lm")
        for place, path in enumerate(paths):
            with Image.open(path) as picture:
                picture = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            canvas.paste(picture, (MARGIN + place * (SIDE + GAP), top))
    return canvas


def losses(work_dir: Path) -> Image.Image:
    """The loss of each stage that trained, over its iterations."""
    series = {}
    for stage in ("pretrain", "pixel_attention", "finetune"):
        scalars = read_scalars(work_dir / stage)
        if "loss" in scalars:
            series[stage] = scalars["loss"]
    figure, axes = plt.subplots(1, len(series), figsize=(7.2, 2.1), dpi=100, layout="constrained")
    for place, (stage, values) in zip(axes, series.items(), strict=True):
        place.plot(list(values), list(values.values()), color="#2a6f97", linewidth=1.4)
        place.set_title(stage, fontsize=9)
        place.tick_params(labelsize=7)
        place.set_xlabel("iteration", fontsize=8)
        place.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("loss", fontsize=8)
    figure.canvas.draw()
    return Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")


if __name__ == "__main__":
    with exit_cleanly():
        main()
