"""Rows of a photo and pictures derived from it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from luss.datasets.mask_codec import IGNORE_ID
from luss.errors import LussError
from luss.visualization.colours import Legend
from luss.visualization.overlay import overlay, resize_ids
from luss.visualization.pictures import Picture, PictureFolder, read_fitting_mask, read_thumbnail

__all__ = ["Chip", "Drawing", "Panel", "PhotoRow", "coloured_mask", "key_of", "photo_row"]

_CHIPS = 4


class Chip(NamedTuple):
    """A short text with its swatch, a CSS background; muted without one."""

    text: str
    swatch: str = ""


class Panel(NamedTuple):
    """A picture with its name and categories; ``error`` replaces one that cannot be read."""

    name: str
    picture: Picture | None = None
    chips: list[Chip] = []
    error: str = ""


class PhotoRow(NamedTuple):
    """A photo, first of the panels, and pictures derived from it."""

    image_id: str
    panels: list[Panel]


Drawing = Callable[[NDArray[np.uint8], tuple[int, int]], tuple[NDArray[np.uint8], list[Chip]]]
"""Function from a thumbnail (h, w, 3) and the photo's (H, W) to a picture and its categories."""


def photo_row(
    item: Mapping[str, Any], longest: int, made: Mapping[str, Drawing], pictures: PictureFolder
) -> PhotoRow:
    """Draw pictures derived from a photo.

    Args:
        item: of a data set.
        longest: longer side of the pictures.
        made: title -> function that returns a picture.
        pictures: folder for the picture files.
    """
    image_id = item["image_id"]
    try:
        photo, full = read_thumbnail(item, longest)
    except LussError as error:
        return PhotoRow(image_id, [Panel("photo", error=str(error))])
    panels = [Panel("photo", pictures.add(photo, f"Photo {image_id}"))]
    for name, make in made.items():
        try:
            picture, chips = make(photo, full)
            shown = pictures.add(picture, f"{name[:1].upper()}{name[1:]} for {image_id}")
            panels.append(Panel(name, shown, chips))
        except LussError as error:
            panels.append(Panel(name, error=str(error)))
    return PhotoRow(image_id, panels)


def coloured_mask(item: Mapping[str, Any], legend: Legend) -> Drawing:
    """Return a function that draws a mask over a photo, with its largest categories.

    Args:
        item: with ``seg_map_path`` and its encoding, see `read_item_mask`; without a path, an error
            is shown.
        legend: of its ids.
    """

    def make(photo: NDArray[np.uint8], full: tuple[int, int]) -> tuple[NDArray, list[Chip]]:
        if item.get("seg_map_path") is None:
            raise LussError("this photo has no true mask")
        ids = legend.apply(read_fitting_mask(item, full))
        small = resize_ids(ids, photo.shape[:2])
        picture = overlay(photo, small, legend.colours, legend.ignore, legend.unmatched)
        return picture, _chips(ids, legend)

    return make


def key_of(masks: bool, truth: Legend | None) -> list[Chip]:
    """Return the key of the colours that `coloured_mask` draws besides categories.

    Args:
        masks: whether there are masks.
        truth: legend of true masks, if there are any.
    """
    other = [Chip("‘other’: the photo in grey", "#555")] if masks else []
    return other + ([Chip("ignored in evaluation", truth.swatch(IGNORE_ID))] if truth else [])


def _chips(ids: NDArray[np.integer], legend: Legend) -> list[Chip]:
    """Return the categories of a mask with their share of its pixels, largest first."""
    found, areas = np.unique(ids[ids != 0], return_counts=True)
    largest = np.argsort(-areas, kind="stable")
    chips = [
        Chip(f"{legend.name(index)} {100 * area / ids.size:.0f} %", legend.swatch(index))
        for index, area in zip(found[largest].tolist(), areas[largest].tolist(), strict=True)
    ]
    if not chips:
        return [Chip("nothing but ‘other’")]
    more = [Chip(f"and {len(chips) - _CHIPS} more")] if len(chips) > _CHIPS else []
    return chips[:_CHIPS] + more
