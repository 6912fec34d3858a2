"""Report section of photos with prediction, truth and foreground map."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from numpy.typing import NDArray
from PIL import Image

from luss.datasets.mask_codec import IGNORE_ID
from luss.errors import LussError
from luss.visualization.colours import Legend
from luss.visualization.markup import Markup, element, joined, note, notice
from luss.visualization.overlay import attention_picture
from luss.visualization.photo_rows import Picture, chip, coloured_mask, photo_row
from luss.visualization.pictures import PictureFolder

__all__ = ["GallerySources", "evenly_spaced", "gallery_section"]

_LONGEST_SIDE = 320


@dataclass(frozen=True)
class GallerySources:
    """Folders of masks and maps of a split, and their colours.

    Attributes:
        predictions: folder of ``<image_id>.png`` masks of generated ids, or None.
        maps: folder ``<kind>/<split>`` of ``<image_id>.png``, 8-bit grey maps of foreground, or
            None.
        map_name: displayed name, such as 'mean attention'.
        generated: legend of predictions.
        true: legend of the truth.
        matched: whether the colours of predictions are those of the truth.
        threshold: of the maps; None without a common one.
    """

    predictions: Path | None
    maps: Path | None
    map_name: str
    generated: Legend
    true: Legend
    matched: bool
    threshold: float | None


def evenly_spaced(count: int, most: int) -> NDArray[np.int64]:
    """Return at most ``most`` of the indices 0..count-1, evenly spaced from first to last."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)


def gallery_section(
    dataset: BaseDataset, sources: GallerySources, pictures: PictureFolder, max_photos: int
) -> Markup:
    """Return the photos that have a foreground map, or if there are none, photos of the split.

    Args:
        dataset: of the split.
        sources: of masks and maps.
        pictures: folder for the picture files.
        max_photos: largest number of photos, evenly spaced.
    """
    chosen, said = _choose(dataset, sources, max_photos)
    items = [dataset.get_data_info(int(index)) for index in chosen]
    columns = {
        "prediction": sources.predictions is not None,
        "truth": any(item.get("seg_map_path") for item in items),
        sources.map_name: sources.maps is not None,
    }
    if not columns["prediction"]:
        said += notice("No finished stage of this run has predictions of these photos.")
    if not columns["truth"]:
        said += note("These photos have no true masks to compare predictions with.")
    elif columns["prediction"] and not sources.matched:
        said += notice(
            "No match with true classes was found: the colours of predictions are arbitrary."
        )
    shown = [name for name, available in columns.items() if available]
    rows = [_row(item, shown, sources, pictures) for item in items]
    gallery = element("div", *rows, class_=f"gallery of{1 + len(shown)}")
    return joined(said, _key(shown, sources), gallery)


def _choose(
    dataset: BaseDataset, sources: GallerySources, max_photos: int
) -> tuple[NDArray[np.int64], Markup]:
    """Return the indices of photos to show, and notes on the choice."""
    root = sources.maps
    wanted = {
        path.relative_to(root).with_suffix("").as_posix()
        for path in (root.rglob("*.png") if root else ())
        if root
    }
    if not wanted:
        said = notice("No finished stage of this run has maps of foreground of these photos.")
        return evenly_spaced(len(dataset), max_photos), said + _capped(
            len(dataset), sources, max_photos
        )
    indices = []
    for index in range(len(dataset)):
        if dataset.get_data_info(index)["image_id"] in wanted:
            indices.append(index)
            if len(indices) == len(wanted):
                break
    said = Markup()
    if len(indices) < len(wanted):
        said += notice(
            f"Maps of foreground without a photo in the data set: {len(wanted) - len(indices)}."
        )
    chosen = np.asarray(indices, np.int64)[evenly_spaced(len(indices), max_photos)]
    return chosen, said + _capped(len(indices), sources, max_photos)


def _capped(count: int, sources: GallerySources, most: int) -> Markup:
    if count <= most:
        return Markup()
    said = note(
        f"{most} of {count} photos are shown, spread evenly over the data set. For more, give the "
        "section ", element("code", "gallery"), " of the stage ", element("code", "report"),
        " a larger ", element("code", "max_photos"), ".",
    )  # fmt: skip
    if sources.predictions is not None:
        folder = "/".join(sources.predictions.parts[-3:])
        said += note("The predictions of all photos are in ", element("code", folder), ".")
    return said


def _row(
    item: dict[str, Any], columns: Sequence[str], sources: GallerySources, pictures: PictureFolder
) -> Markup:
    file = f"{item['image_id']}.png"
    known = {
        "truth": coloured_mask(item, sources.true),
    }
    if sources.predictions is not None:
        known["prediction"] = coloured_mask(
            {"seg_map_path": sources.predictions / file}, sources.generated
        )
    if sources.maps is not None:
        known[sources.map_name] = _map_picture(sources.maps / file, sources.threshold)
    made = {column: known[column] for column in columns}
    return photo_row(item, _LONGEST_SIDE, made, pictures)


def _map_picture(path: Path, threshold: float | None) -> Picture:
    def make(photo: NDArray[np.uint8], full: tuple[int, int]) -> tuple[NDArray, None]:
        return attention_picture(_attention(path, photo.shape[:2]), threshold), None

    return make


def _attention(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            if image.mode != "L":
                raise LussError(f"{path} has the mode {image.mode}. Expected 8-bit grey")
            return np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR))
    except OSError as error:
        raise LussError(f"cannot read the foreground map {path}: {error}") from error


def _key(columns: Sequence[str], sources: GallerySources) -> Markup:
    """Return a key of the colours."""
    entries: list[Markup] = []
    if "prediction" in columns or "truth" in columns:
        entries.append(chip("‘other’: the photo in grey", "#555"))
    if "truth" in columns:
        entries.append(chip("ignored in evaluation", sources.true.swatch(IGNORE_ID)))
    if "prediction" in columns and sources.generated.unmatched:
        unmatched = min(sources.generated.unmatched)
        entries.append(chip("unmatched category", sources.generated.swatch(unmatched)))
    if sources.map_name in columns:
        line = "" if sources.threshold is None else f", white line at {sources.threshold:g}"
        ramp = element("i", class_="ramp")
        entries.append(element("span", "0 ", ramp, f" 1 {sources.map_name}{line}", class_="chip"))
    return element("p", *entries, class_="chips key")
