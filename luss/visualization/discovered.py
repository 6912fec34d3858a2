"""Report section of discovered categories with their training images."""

import numpy as np

from luss.errors import LussError, shorten
from luss.registry import REPORT_SECTIONS
from luss.visualization.colours import Legend
from luss.visualization.gallery import evenly_spaced
from luss.visualization.markup import render
from luss.visualization.overlay import outline, resize_ids
from luss.visualization.photo_rows import Chip, Panel
from luss.visualization.pictures import PictureFolder, read_fitting_mask, read_thumbnail
from luss.visualization.run_files import RunFiles
from luss.visualization.sections import Section, require_positive

__all__ = ["category_chip", "discovered"]

_HEADING = "Discovered categories"
_LONGEST_SIDE = 192


@REPORT_SECTIONS.register_module()
def discovered(run: RunFiles, examples_per_category: int = 8, max_examples: int = 4000) -> Section:
    """Return cards of the discovered categories with training photos, largest first.

    Args:
        run: files of the run.
        examples_per_category: largest number of photos per category.
        max_examples: largest number of photos in total.
    """
    require_positive(examples_per_category=examples_per_category, max_examples=max_examples)
    clustering = run.clustering
    if clustering is None:
        return Section(_HEADING, render("discovered", clustering=None))
    order = np.argsort(clustering.assignments, kind="stable")
    sizes = np.bincount(clustering.assignments, minlength=clustering.num_categories)
    members = np.split(order, np.cumsum(sizes)[:-1])
    filled = [index for index in np.argsort(-sizes, kind="stable").tolist() if sizes[index]]
    empty = (np.flatnonzero(sizes == 0) + 1).tolist()
    examples = max(1, min(examples_per_category, max_examples // max(len(filled), 1)))
    pictures = run.pictures("discovered")
    cards = []
    for index in filled[:max_examples]:
        places = evenly_spaced(int(sizes[index]), examples)
        cards.append(
            {
                "title": category_chip(index + 1, run.generated),
                "count": int(sizes[index]),
                "examples": [_thumbnail(run, int(i), pictures) for i in members[index][places]],
            }
        )
    content = render(
        "discovered",
        clustering=clustering,
        filled=len(filled),
        examples=examples,
        empty=empty,
        listed=shorten(empty, 20),
        has_labels="pseudo_labels" in run.outputs,
        cards=cards,
    )
    return Section(_HEADING, content)


def category_chip(index: int, legend: Legend) -> Chip:
    """Return number and colour of a discovered category, its name, and whether it is merged."""
    return Chip(_title(index, legend), legend.swatch(index))


def _title(index: int, legend: Legend) -> str:
    own, name = f"category {index}", legend.name(index)
    to = index if legend.given is None else int(legend.given.kept[index])
    if to == 0:
        return f"{own}: dropped, counts as ‘other’"
    if to != index:
        called = "" if name.startswith(f"category {to}") else f": {name}"
        return f"{own}, merged into {to}{called}"
    return name if name.startswith(own) else f"{own}: {name}"


def _thumbnail(run: RunFiles, index: int, pictures: PictureFolder) -> Panel:
    item = run.train_dataset.get_data_info(index)
    image_id = item["image_id"]
    try:
        photo, full = read_thumbnail(item, _LONGEST_SIDE)
        if labels := run.outputs.get("pseudo_labels"):
            ids = read_fitting_mask({"seg_map_path": labels / f"{image_id}.png"}, full)
            photo = outline(photo, resize_ids(ids, photo.shape[:2]), run.generated.colours)
    except LussError as error:
        return Panel(image_id, error=str(error))
    return Panel(image_id, pictures.add(photo, image_id))
