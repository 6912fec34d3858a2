"""Report sections of the foreground analysis: ladder, sources and channels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.dataset import BaseDataset
from numpy.typing import NDArray

from luss.evaluation.ladder import RUNGS
from luss.label_generation.map_folder import MapFolder
from luss.visualization.markup import Markup, element, joined, note, notice
from luss.visualization.overlay import attention_picture
from luss.visualization.photo_rows import Picture, photo_row
from luss.visualization.pictures import PictureFolder

__all__ = ["channels_section", "ladder_section", "sources_section"]

_LONGEST_SIDE = 192
_PANELS = 10
"""Largest number of pictures per line."""
_QUALITY = ("AUC within images", "AUC over images", "best IoU", "best F_beta", "best mIoU")


def ladder_section(analysis: Mapping[str, Any]) -> Markup:
    """Return a table of mIoU with true masks or true categories.

    Args:
        analysis: content of ``analysis.json``.
    """
    ladder = analysis["ladder"]
    rows = {title: [rungs[rung] for rungs in ladder.values()] for rung, title in RUNGS.items()}
    said = note(
        f"mIoU in percent of {analysis['images']} photos of {analysis['split']}. True masks are "
        "those that the labels' resolution can show. Each row is matched to the true classes by "
        "itself, on these masks; no model was chosen by it.",
    )
    table = _table("", list(ladder), rows, "{:.1f}")
    embeddings = analysis.get("embeddings")
    if not embeddings:
        return joined(said, table)
    columns = ["accuracy", "NMI"]
    rows = {name: [values[each] for each in columns] for name, values in embeddings.items()}
    return joined(
        said,
        table,
        element("h3", "Clusters of image embeddings"),
        note(
            "Photos of the same split, clustered by features pooled over a map of foreground, "
            "against the largest true class of each; percent.",
        ),
        _table("pooled over", columns, rows, "{:.1f}"),
    )


def sources_section(
    analysis: Mapping[str, Any], folder: Path, dataset: BaseDataset, pictures: PictureFolder
) -> Markup:
    """Return a table of each source's quality, and maps of some photos.

    Args:
        analysis: content of ``analysis.json``.
        folder: its folder, with ``maps/<source>/<split>``.
        dataset: of the split.
        pictures: folder for the picture files.
    """
    sources = analysis["sources"]
    rows = {name: [values.get(each) for each in _QUALITY] for name, values in sources.items()}
    said = note(
        "AUC is the chance that a pixel of an object has a higher value than one of ‘other’; the "
        "best IoU and F", element("sub", "β"), " (percent) are those of the threshold that is best "
        "on these masks, the best mIoU is that of pseudo labels made with it. The run's own source "
        "is ", element("strong", analysis["own_source"]), ".",
    )  # fmt: skip
    attention = analysis.get("attention")
    if attention:
        said += note(
            f"Attention has {attention['channels']} channels. Within a photo a channel deviates by "
            f"{attention['mean deviation of a channel']:.3f}, their mean by "
            f"{attention['deviation of the mean']:.3f}; two channels correlate by "
            f"{attention['mean correlation of channels']:.2f} in the mean.",
        )
    names = [name for name in sources if (folder / "maps" / name).is_dir()]
    maps = {name: MapFolder(folder / "maps" / name) for name in names}
    return joined(
        said,
        _table("source", list(_QUALITY), rows, "{:.1f}", {0: "{:.3f}", 1: "{:.3f}"}),
        _rows(maps, analysis["split"], dataset, pictures),
    )


def channels_section(
    analysis: Mapping[str, Any], folder: Path, dataset: BaseDataset, pictures: PictureFolder
) -> Markup:
    """Return attention maps of single channels side by side (figure 10).

    Args:
        analysis: content of ``analysis.json``, of a model with attention.
        folder: its folder, with ``channels/<channel>/<split>``.
        dataset: of the split.
        pictures: folder for the picture files.
    """
    channels = analysis["attention"]["shown channels"]
    said = note(
        f"The {len(channels)} of {analysis['attention']['channels']} channels that deviate most "
        "within photos, each from its lowest (dark) to its highest value (bright) in the photo, "
        "after the mean of all channels.",
    )
    maps = {"mean": MapFolder(folder / "channels" / "mean")}
    maps |= {f"channel {each}": MapFolder(folder / "channels" / str(each)) for each in channels}
    return joined(said, _rows(maps, analysis["split"], dataset, pictures))


def _rows(
    maps: Mapping[str, MapFolder], split: str, dataset: BaseDataset, pictures: PictureFolder
) -> Markup:
    """Return rows of photos that have maps, with their maps."""
    known = {
        path.relative_to(each.root / split).with_suffix("").as_posix()
        for each in maps.values()
        for path in (each.root / split).rglob("*.png")
    }
    items = [dataset.get_data_info(index) for index in range(len(dataset))] if known else []
    items = [item for item in items if item["image_id"] in known]
    if not items:
        return notice("There are no maps of photos of ", split, " to show.")
    rows = [_row(item, maps, split, pictures) for item in items]
    lines = -(-(1 + len(maps)) // _PANELS)
    columns = -(-(1 + len(maps)) // lines)
    return element("div", *rows, class_="gallery side", style=f"--panels:{columns}")


def _row(
    item: dict[str, Any], maps: Mapping[str, MapFolder], split: str, pictures: PictureFolder
) -> Markup:
    made = {name: _stretched(each, split, item["image_id"]) for name, each in maps.items()}
    return photo_row(item, _LONGEST_SIDE, made, pictures)


def _stretched(maps: MapFolder, split: str, image_id: str) -> Picture:
    """Return a picture function that stretches a map from its lowest to its highest value."""

    def make(photo: NDArray[np.uint8], full: tuple[int, int]) -> tuple[NDArray, None]:
        levels = maps.read_levels(split, image_id).astype(np.float32)
        low, high = float(levels.min()), float(levels.max())
        grey = ((levels - low) * (255 / max(high - low, 1))).round().astype(np.uint8)
        size = photo.shape[1], photo.shape[0]
        resized = cv2.resize(grey, size, interpolation=cv2.INTER_LINEAR)
        return attention_picture(np.asarray(resized, np.uint8)), None

    return make


def _table(
    first: str,
    columns: Sequence[str],
    rows: Mapping[str, Sequence[float | None]],
    form: str,
    forms: Mapping[int, str] | None = None,
) -> Markup:
    forms = forms or {}

    def cell(place: int, value: float | None) -> Markup:
        return element("td", "–" if value is None else forms.get(place, form).format(value))

    head = element(
        "tr", element("th", first, scope="col"), *(element("th", c, scope="col") for c in columns)
    )
    body = [
        element(
            "tr", element("th", name, scope="row"), *(cell(*each) for each in enumerate(values))
        )
        for name, values in rows.items()
    ]
    return element("table", element("thead", head), element("tbody", *body), class_="dense")
