"""Statistics of tables 1 and 2 and figures 4 to 6 of the paper, in one pass over the masks."""

from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from luss.datasets.imagenet_s import ImageNetS
from luss.datasets.mask_check import read_checked
from luss.datasets.mask_codec import IGNORE_ID
from luss.datasets.mask_tally import MaskTally
from luss.errors import LussError

__all__ = ["MAP_SIDE", "SIZE_GROUPS", "Statistics", "count_split"]

MAP_SIDE = 100
"""Side of the position maps, to which masks are resized."""

SIZE_GROUPS = {"S": (0, 5), "MS": (5, 25), "ML": (25, 50), "L": (50, 100)}
"""Object sizes in percent of the image: above the first number, up to the second."""

_CHUNK = 64


@dataclass
class Statistics(MaskTally):
    """Counts over the images of one split; counts of disjoint sets of images can be added.

    Attributes:
        images: number of images.
        of_folder: (C + 1,) images by class folder; 0 counts other folders.
        categories: (C + 1,) masks by their number of classes, without 'other'.
        sizes: (100,) objects (a class in an image) by their size in percent of the image's
            evaluated pixels, rounded up: [0] counts those up to 1 %, [99] those above 99 %.
        positions: (MAP_SIDE, MAP_SIDE) sum of the masks of all objects, resized to a square.
        boundaries: as ``positions``, for the objects' boundaries, one pixel wide.
    """

    images: int = 0
    of_folder: NDArray[np.int64] = field(init=False)
    categories: NDArray[np.int64] = field(init=False)
    sizes: NDArray[np.int64] = field(init=False)
    positions: NDArray[np.float64] = field(init=False)
    boundaries: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("of_folder", "categories"):
            setattr(self, name, np.zeros(self.num_classes + 1, np.int64))
        self.sizes = np.zeros(100, np.int64)
        self.positions = np.zeros((MAP_SIDE, MAP_SIDE))
        self.boundaries = np.zeros((MAP_SIDE, MAP_SIDE))

    def add_image(
        self, category: int, mask: NDArray[np.int32] | None = None, path: str = ""
    ) -> None:
        """Count an image.

        Args:
            category: of its class folder, 0..C.
            mask: (H, W) class ids, with 1000 where ignored.
            path: of the mask, for messages.
        """
        self.images += 1
        self.of_folder[category] += 1
        if mask is None:
            return
        areas = self.add_mask(mask, category, path)
        evaluated = areas.sum()
        objects = areas[1:][areas[1:] > 0]
        self.categories[len(objects)] += 1
        if not len(objects):
            return
        # Integer arithmetic keeps exactly 5 % at 5 %.
        percent = -(-100 * objects // evaluated)
        np.add.at(self.sizes, percent - 1, 1)
        foreground = (mask > 0) & (mask != IGNORE_ID)
        self.positions += _reduce(foreground)
        self.boundaries += _reduce(_boundary(np.where(foreground, mask, 0)))

    def size_groups(self) -> dict[str, int]:
        """Return the numbers of small, medium-small, medium-large and large objects."""
        return {name: int(self.sizes[low:high].sum()) for name, (low, high) in SIZE_GROUPS.items()}

    def summary(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the statistics for a JSON file.

        Args:
            names: of the classes 0..C, as ``metainfo['classes']``.
        """
        summary: dict[str, Any] = {"images": self.images, "images_with_mask": self.with_mask}
        if self.with_mask:
            held = np.flatnonzero(self.categories)
            summary["images_by_number_of_categories"] = {
                str(number): int(self.categories[number]) for number in held
            }
            summary["objects"] = int(self.sizes.sum())
            summary["objects_by_size"] = self.size_groups()
            summary["objects_by_percent"] = self.sizes.tolist()
            summary["ignored_pixels"] = self.ignored
        columns = [("folder_images", self.of_folder)]
        if self.with_mask:
            columns += [("images", self.with_class), ("pixels", self.pixels)]
        summary["classes"] = {
            name: {column: int(values[index]) for column, values in columns}
            for index, name in enumerate(names)
        }
        return summary


def count_split(dataset: ImageNetS, jobs: int = 1) -> Statistics:
    """Count all images of a split, reading each mask once.

    Args:
        dataset: the split.
        jobs: processes that read masks.

    Raises:
        LussError: if a mask is unreadable, or its size or ids do not fit.
    """
    if jobs < 1:
        raise LussError(f"jobs is {jobs}. Expected at least 1")
    total = Statistics(dataset.num_classes)
    chunks: list[list[dict[str, Any]]] = [[]]
    for index in range(len(dataset)):
        item = dataset.get_data_info(index)
        if "seg_map_path" not in item:
            total.add_image(item["category"])
            continue
        if len(chunks[-1]) == _CHUNK:
            chunks.append([])
        chunks[-1].append(item)
    arguments = (chunks, [dataset.num_classes] * len(chunks))
    if jobs == 1:
        for part in map(_count_masks, *arguments):
            total += part
        return total
    with ProcessPoolExecutor(jobs) as pool:
        for part in pool.map(_count_masks, *arguments):
            total += part
    return total


def _count_masks(items: list[dict[str, Any]], num_classes: int) -> Statistics:
    statistics = Statistics(num_classes)
    for item in items:
        mask, header = read_checked(item)
        statistics.add_image(item["category"], mask, item["seg_map_path"])
        if header.turned:
            statistics.turned[item["img_path"]] += 1
    return statistics


def _boundary(mask: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return the object pixels with a 4-neighbour of another id, (H, W) bool."""
    boundary = np.zeros(mask.shape, bool)
    across = mask[:, 1:] != mask[:, :-1]
    down = mask[1:] != mask[:-1]
    boundary[:, 1:] |= across
    boundary[:, :-1] |= across
    boundary[1:] |= down
    boundary[:-1] |= down
    return boundary & (mask > 0)


def _reduce(where: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the covered share of each cell of the position map, (MAP_SIDE, MAP_SIDE)."""
    share = cv2.resize(where.astype(np.float32), (MAP_SIDE, MAP_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(share, np.float32)
