"""The page of an analysis: ladder, sources, embeddings and channels of attention."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy.typing import NDArray

from foreground_analysis.ladder import RUNGS
from luss.files import atomic_write
from luss.visualization.markup import Row, render
from luss.visualization.overlay import attention_picture
from luss.visualization.photo_rows import Chip, Drawing, photo_row
from luss.visualization.pictures import PictureFolder
from luss.visualization.report import write_page as write_sections
from luss.visualization.sections import Section

__all__ = ["Shown", "tables", "write_page"]

_LONGEST_SIDE = 192
_PANELS = 10
"""Largest number of pictures per line."""
_QUALITY = ("AUC within images", "AUC over images", "best IoU", "best F_beta", "best mIoU")


class Shown(NamedTuple):
    """A photo that the page shows.

    Attributes:
        item: of the data set.
        maps: source -> foreground map (h, w) in [0, 1].
        channels: title -> attention (h, w).
    """

    item: Mapping[str, Any]
    maps: dict[str, NDArray[np.float32]]
    channels: dict[str, NDArray[np.float32]]


Table = tuple[str, Sequence[str], Mapping[str, Sequence[float | None]]]
"""Title, columns, and rows by name."""


def tables(found: Mapping[str, Any]) -> dict[str, Table]:
    """Return the tables of an analysis by topic.

    Args:
        found: content of ``analysis.json``.
    """

    def values(rows: Mapping[str, Mapping[str, Any]], columns: Sequence[str]) -> dict[str, list]:
        return {name: [row.get(column) for column in columns] for name, row in rows.items()}

    made: dict[str, Table] = {
        "ladder": (
            "mIoU, %",
            list(found["ladder"]),
            {t: [column[r] for column in found["ladder"].values()] for r, t in RUNGS.items()},
        ),
        "foreground": ("source", _QUALITY, values(found["sources"], _QUALITY)),
    }
    if found["embeddings"]:
        columns = ("accuracy", "NMI")
        made["embeddings"] = ("pooled over", columns, values(found["embeddings"], columns))
    if "attention" in found:
        columns = [key for key in found["attention"] if key != "shown channels"]
        made["attention"] = ("", columns, values({"attention": found["attention"]}, columns))
    return made


_NOTES = {
    "ladder": "True masks are those that the labels' resolution can show. Each row is matched to "
    "the true classes on these masks.",
    "foreground": "AUC is the chance that a pixel of an object has a higher value than one of "
    "‘other’. IoU and F_beta are those of the best threshold on these masks, mIoU that of pseudo "
    "labels made with it; percent.",
    "embeddings": "Photos, clustered by features pooled over a map, compared with the largest "
    "true class of each; percent.",
    "attention": "Standard deviations and correlation within photos. Below: the channels that "
    "deviate most, each from its lowest (dark) to its highest value (bright) in the photo.",
}


def write_page(folder: Path, found: Mapping[str, Any], photos: Sequence[Shown]) -> None:
    """Write ``index.html``, ``thresholds.png`` and pictures into a new folder.

    Args:
        folder: of the page.
        found: content of ``analysis.json``.
        photos: to show.
    """
    with atomic_write(folder / "thresholds.png") as file:
        _plot_thresholds(found["sources"]).savefig(file, format="png", dpi=120)
    pictures = PictureFolder(folder, "pictures")
    plot = Markup('<img src="thresholds.png" alt="IoU and F_beta over thresholds">')
    below = {
        "foreground": plot + _photos([(photo.item, photo.maps) for photo in photos], pictures),
        "attention": _photos([(photo.item, photo.channels) for photo in photos], pictures),
    }
    sections = []
    for topic, (first, columns, values) in tables(found).items():
        rows = [
            Row(name, ["–" if value is None else f"{value:.4g}" for value in row])
            for name, row in values.items()
        ]
        table = render("table", corner=first, columns=columns, rows=rows)
        note = Markup('<p class="note">{}</p>').format(_NOTES[topic])
        sections.append(Section(topic.capitalize(), note + table + below.get(topic, "")))
    lead = f"{found['images']} photos of {found['split']} · own source: {found['own_source']}"
    write_sections(folder, "Which part limits the run?", lead, sections)


def _plot_thresholds(sources: Mapping[str, Any]) -> Figure:
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("IoU", "F_beta"), strict=True):
        for place, (source, values) in enumerate(sources.items()):
            curves = values["curves"]
            style = ("-", "--", ":")[place // 10 % 3]
            axes.plot(curves["thresholds"], curves[name], style, label=source)
        axes.set(xlabel="threshold", ylabel=f"{name} of the foreground, %", xlim=(0, 1))
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    return figure


def _photos(
    photos: Sequence[tuple[Mapping[str, Any], Mapping[str, NDArray]]], pictures: PictureFolder
) -> Markup:
    """Return photos with their maps."""
    rows = [
        photo_row(
            item, _LONGEST_SIDE, {name: _stretched(each) for name, each in maps.items()}, pictures
        )
        for item, maps in photos
    ]
    panels = 1 + max((len(maps) for _, maps in photos), default=0)
    columns = -(-panels // -(-panels // _PANELS))
    return render("photos", note="", key=[], rows=rows, columns=columns)


def _stretched(values: NDArray[np.float32]) -> Drawing:
    """Return a picture function that stretches a map from its lowest to its highest value."""

    def make(photo: NDArray[np.uint8], full: tuple[int, int]) -> tuple[NDArray, list[Chip]]:
        low, high = float(values.min()), float(values.max())
        grey = ((values - low) * (255 / max(high - low, 1 / 255))).round().astype(np.uint8)
        size = photo.shape[1], photo.shape[0]
        resized = cv2.resize(grey, size, interpolation=cv2.INTER_LINEAR)
        return attention_picture(np.asarray(resized, np.uint8)), []

    return make
