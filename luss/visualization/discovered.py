"""Report section of discovered categories with their training images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.dataset import BaseDataset
from numpy.typing import NDArray

from luss.errors import LussError, shorten
from luss.visualization.colours import Legend
from luss.visualization.gallery import evenly_spaced
from luss.visualization.markup import Markup, element, joined, note, notice
from luss.visualization.overlay import outline, resize_ids
from luss.visualization.photo_rows import chip
from luss.visualization.pictures import PictureFolder, read_fitting_mask, read_thumbnail
from luss.visualization.sources import Clustering

__all__ = ["discovered_section", "title_of"]

_LONGEST_SIDE = 192


@dataclass(frozen=True)
class _Category:
    """A generated id and the indices of its training images."""

    index: int
    members: NDArray[np.int64]


def discovered_section(
    dataset: BaseDataset,
    clustering: Clustering | None,
    pseudo_labels: Path | None,
    legend: Legend,
    pictures: PictureFolder,
    examples: int,
    max_examples: int,
) -> Markup:
    """Return cards of categories, largest first.

    Args:
        dataset: the training images that were clustered.
        clustering: None if missing.
        pseudo_labels: folder of ``<image_id>.png`` masks of generated ids, or None.
        legend: of the generated ids.
        pictures: folder for the picture files.
        examples: photos per category.
        max_examples: total number of photos.
    """
    if clustering is None:
        return notice("No finished stage of this run has discovered categories.")
    categories = _by_size(clustering)
    empty = [category.index for category in categories if not len(category.members)]
    categories = [category for category in categories if len(category.members)]
    shown = categories[:max_examples]
    examples = max(1, min(examples, max_examples // max(len(categories), 1)))
    said = note(
        f"{len(categories)} categories hold {len(clustering.assignments)} training images; at "
        f"most {examples} of each are shown, spread over the data set, with their pseudo labels "
        "outlined. For more pictures give the section ",
        element("code", "discovered"), " of the stage ", element("code", "report"), " larger ",
        element("code", "examples_per_category"), " and ", element("code", "max_examples"), ".",
    )  # fmt: skip
    if len(shown) < len(categories):
        said += note(f"Only the {len(shown)} largest categories are shown.")
    if empty:
        said += notice(f"Categories without any image ({len(empty)}): {shorten(empty, 20)}.")
    if pseudo_labels is None:
        said += notice("No finished stage of this run has pseudo labels to outline.")
    cards = [
        _card(category, dataset, pseudo_labels, legend, pictures, examples) for category in shown
    ]
    return joined(said, element("div", *cards, class_="cards"))


def _by_size(clustering: Clustering) -> list[_Category]:
    order = np.argsort(clustering.assignments, kind="stable")
    sizes = np.bincount(clustering.assignments, minlength=clustering.num_categories)
    members = np.split(order, np.cumsum(sizes)[:-1])
    categories = [_Category(index, each) for index, each in enumerate(members, 1)]
    return sorted(categories, key=lambda category: -len(category.members))


def _card(
    category: _Category,
    dataset: BaseDataset,
    pseudo_labels: Path | None,
    legend: Legend,
    pictures: PictureFolder,
    examples: int,
) -> Markup:
    count = len(category.members)
    head = element(
        "h3",
        chip(title_of(category.index, legend), legend.swatch(category.index)),
        element("small", f"{count} image{'' if count == 1 else 's'}"),
    )
    thumbnails = [
        _thumbnail(
            dataset.get_data_info(int(category.members[place])), pseudo_labels, legend, pictures
        )
        for place in evenly_spaced(count, examples)
    ]
    return element("article", head, element("div", *thumbnails, class_="strip"), class_="card")


def title_of(index: int, legend: Legend) -> str:
    """Return the number of a discovered category with its name, and whether it is merged."""
    own, name = f"category {index}", legend.name(index)
    to = index if legend.given is None else int(legend.given.kept[index])
    if to == 0:
        return f"{own}: dropped, counts as ‘other’"
    if to != index:
        called = "" if name.startswith(f"category {to}") else f": {name}"
        return f"{own}, merged into {to}{called}"
    return name if name.startswith(own) else f"{own}: {name}"


def _thumbnail(
    item: dict, pseudo_labels: Path | None, legend: Legend, pictures: PictureFolder
) -> Markup:
    image_id = item["image_id"]
    try:
        photo, full = read_thumbnail(item, _LONGEST_SIDE)
        if pseudo_labels is not None:
            ids = read_fitting_mask({"seg_map_path": pseudo_labels / f"{image_id}.png"}, full)
            photo = outline(photo, resize_ids(ids, photo.shape[:2]), legend.colours)
    except LussError as error:
        return notice(str(error))
    return pictures.add(photo, image_id)
