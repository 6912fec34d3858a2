"""Rows of a photo and pictures derived from it."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luss.errors import LussError
from luss.visualization.colours import Legend
from luss.visualization.markup import Markup, element, notice
from luss.visualization.overlay import overlay, resize_ids
from luss.visualization.pictures import PictureFolder, read_fitting_mask, read_thumbnail

__all__ = ["Picture", "chip", "coloured_mask", "photo_row"]

_CHIPS = 4

Picture = Callable[[NDArray[np.uint8], tuple[int, int]], tuple[NDArray[np.uint8], Markup | None]]
"""Function from a thumbnail (h, w, 3) and the photo's (H, W) to a picture and its caption."""


def photo_row(
    item: Mapping[str, Any], longest: int, made: Mapping[str, Picture], pictures: PictureFolder
) -> Markup:
    """Return a photo with pictures derived from it; errors replace pictures that cannot be read.

    Args:
        item: of a data set.
        longest: longer side of the pictures.
        made: title -> function that returns a picture.
        pictures: folder for the picture files.
    """
    image_id = item["image_id"]
    title = element("h3", image_id, class_="name")
    try:
        photo, full = read_thumbnail(item, longest)
    except LussError as error:
        return element("article", title, notice(str(error)), class_="photo")
    panels = [_panel("photo", pictures.add(photo, f"Photo {image_id}"))]
    for name, make in made.items():
        try:
            picture, below = make(photo, full)
            shown = pictures.add(picture, f"{name[:1].upper()}{name[1:]} for {image_id}")
            panels.append(_panel(name, shown, below))
        except LussError as error:
            panels.append(_panel(name, notice(str(error))))
    return element("article", title, element("div", *panels, class_="panels"), class_="photo")


def coloured_mask(item: Mapping[str, Any], legend: Legend) -> Picture:
    """Return a picture function that draws a mask over a photo, with its categories as caption.

    Args:
        item: with ``seg_map_path`` and its encoding, see `read_item_mask`; without a path, a notice
            is shown.
        legend: of its ids.
    """

    def make(photo: NDArray[np.uint8], full: tuple[int, int]) -> tuple[NDArray, Markup]:
        if item.get("seg_map_path") is None:
            raise LussError("this photo has no true mask")
        ids = legend.apply(read_fitting_mask(item, full))
        small = resize_ids(ids, photo.shape[:2])
        picture = overlay(photo, small, legend.colours, legend.ignore, legend.unmatched)
        return picture, _chips(ids, legend)

    return make


def chip(text: str, swatch: str) -> Markup:
    """Return a name with its swatch, a CSS background."""
    return element("span", element("i", style=f"background:{swatch}"), text, class_="chip")


def _panel(name: str, content: Markup, below: Markup | None = None) -> Markup:
    return element("figure", content, element("figcaption", element("b", name), below))


def _chips(ids: NDArray[np.integer], legend: Legend) -> Markup:
    """Return the categories of a mask with their share of its pixels, largest first."""
    found, areas = np.unique(ids, return_counts=True)
    shares = sorted(
        (-area / ids.size, index)
        for index, area in zip(found.tolist(), areas.tolist(), strict=True)
        if index
    )
    chips = [
        chip(f"{legend.name(index)} {-100 * share:.0f} %", legend.swatch(index))
        for share, index in shares[:_CHIPS]
    ]
    if not shares:
        chips = [element("span", "nothing but ‘other’", class_="muted")]
    if len(shares) > _CHIPS:
        chips.append(element("span", f"and {len(shares) - _CHIPS} more", class_="muted"))
    return element("span", *chips, class_="chips")
