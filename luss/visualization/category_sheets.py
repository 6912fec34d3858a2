"""Contact sheets of discovered categories, which help the user to name them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.dataset import BaseDataset
from numpy.typing import NDArray
from PIL import Image

from luss.errors import LussError
from luss.evaluation.category_names import NAMES_FILE, CategoryNames
from luss.evaluation.matching import read_match
from luss.files import read_arrays
from luss.visualization.colours import generated_legend, named_legend, true_legend
from luss.visualization.contact_sheet import contact_sheet
from luss.visualization.discovered import category_chip
from luss.visualization.gallery import evenly_spaced
from luss.visualization.markup import render
from luss.visualization.overlay import resize_ids, spotlight
from luss.visualization.pictures import Picture, read_fitting_mask, read_thumbnail
from luss.visualization.report import whole_folder, write_page
from luss.visualization.sections import Section
from luss.visualization.sources import Clustering, read_clustering, read_embeddings

__all__ = [
    "Members",
    "distances_to_centroids",
    "members_by_distance",
    "read_members",
    "write_category_sheets",
]

_ROWS_AT_A_TIME = 2048
_SIDE = 160
_QUALITY = 88
_OUTLINE = (255, 214, 0)


@dataclass(frozen=True)
class Members:
    """The photos of each discovered category.

    Attributes:
        num_categories: G.
        ordered: G arrays of indices into the training data set, nearest to the centroid first.
    """

    num_categories: int
    ordered: list[NDArray[np.int64]]


def read_members(clustering_file: Path, embeddings_file: Path, num_images: int) -> Members:
    """Read the training photos of each category, sorted by distance to its centroid.

    Args:
        clustering_file: ``centroids.npz``.
        embeddings_file: ``embeddings.npy``.
        num_images: N, of the training data set.

    Raises:
        LussError: if there is no clustering, or its files do not match.
    """
    clustering: Clustering | None = read_clustering(clustering_file, num_images)
    if clustering is None:
        raise LussError(
            f"{clustering_file} is missing, so no categories were discovered yet. Run the stage "
            "that generates labels first"
        )
    (centroids,) = read_arrays(clustering_file, "centroids")
    embeddings = read_embeddings(embeddings_file, num_images, centroids.shape[-1])
    distances = distances_to_centroids(embeddings, centroids, clustering.assignments)
    count = clustering.num_categories
    return Members(count, members_by_distance(clustering.assignments, distances, count))


def distances_to_centroids(
    embeddings: NDArray[np.float32],
    centroids: NDArray[np.float32],
    assignments: NDArray[np.int64],
    rows_at_a_time: int = _ROWS_AT_A_TIME,
) -> NDArray[np.float32]:
    """Compute the Euclidean distance of each image to its centroid.

    Args:
        embeddings: (N, L), may be a memory map; or (N, P, L), with distances averaged over the P
            vectors.
        centroids: (C, L).
        assignments: (N,) in 0..C-1.
        rows_at_a_time: images in memory at a time.

    Returns:
        (N,) float32.

    Raises:
        LussError: if the shapes do not fit.
    """
    fits = len(embeddings) == len(assignments) and embeddings.shape[-1] == centroids.shape[1]
    if embeddings.ndim not in (2, 3) or not fits:
        raise LussError(
            f"embeddings of shape {embeddings.shape} do not fit {len(assignments)} assignments to "
            f"centroids of shape {centroids.shape}"
        )
    distances = np.empty(len(assignments), np.float32)
    for start in range(0, len(assignments), rows_at_a_time):
        rows = slice(start, start + rows_at_a_time)
        vectors = np.asarray(embeddings[rows])
        of_rows = centroids[assignments[rows]]
        if vectors.ndim == 3:
            of_rows = of_rows[:, None]
        lengths = np.linalg.norm(vectors - of_rows, axis=-1)
        distances[rows] = lengths.reshape(len(lengths), -1).mean(axis=1)
    return distances


def members_by_distance(
    assignments: NDArray[np.int64], distances: NDArray[np.floating], num_categories: int
) -> list[NDArray[np.int64]]:
    """List the images of each category, the nearest to its centroid first.

    Args:
        assignments: (N,) in 0..C-1.
        distances: (N,).
        num_categories: C.

    Returns:
        C arrays of indices in 0..N-1; on a tie, the lowest index first.
    """
    order = np.lexsort((distances, assignments))
    sizes = np.bincount(assignments, minlength=num_categories)
    return np.split(order, np.cumsum(sizes)[:-1])


def write_category_sheets(
    work_dir: Path,
    dataset: BaseDataset,
    members: Members,
    names: CategoryNames,
    outputs: Mapping[str, Path],
    typical: int = 24,
    spread: int = 16,
) -> Path:
    """Write ``categories/category_<id>.jpg`` and ``index.html`` of a work dir atomically.

    Args:
        work_dir: of the run.
        dataset: the training photos that were clustered, in the same order.
        members: of the categories.
        names: content of ``names.json``.
        outputs: role -> path of outputs of finished stages; ``pseudo_labels`` is required,
            ``match`` provides names of true classes.
        typical: number of photos per sheet that are nearest to the centroid.
        spread: number of further photos, spread from near to far.

    Returns:
        The path of the page, which opens without a server.

    Raises:
        LussError: if a number is negative, or both are 0.
    """
    if min(typical, spread) < 0 or typical + spread < 1:
        raise LussError(
            f"typical is {typical} and spread is {spread}. Expected at least one photo in total"
        )
    labels = outputs["pseudo_labels"]
    # Without a match, neighbouring categories get different colours.
    legend = named_legend(generated_legend(members.num_categories, None, true_legend({})), names)
    true = _true_names(outputs.get("match"), dataset, members.num_categories)
    digits = len(str(members.num_categories))
    with whole_folder(work_dir / "categories") as folder:
        cards = []
        for index, ordered in enumerate(members.ordered, 1):
            near, rest = ordered[:typical], ordered[typical:]
            far = rest[evenly_spaced(len(rest), spread)] if len(rest) else rest
            file = folder / f"category_{index:0{digits}d}.jpg"
            unreadable: list[str] = []
            parts = [
                (heading, _pictures(photos, dataset, labels, index, unreadable))
                for heading, photos in (
                    (f"category {index}: {len(ordered)} photos, the most typical first", near),
                    ("others, from near to far", far),
                )
                if len(photos) or photos is near
            ]
            sheet = contact_sheet(parts, _SIDE)
            Image.fromarray(sheet).save(file, quality=_QUALITY, optimize=True)
            height, width = sheet.shape[:2]
            cards.append(
                {
                    "title": category_chip(index, legend),
                    "count": len(ordered),
                    "true_class": true.get(index),
                    "sheet": Picture(file.name, f"Photos of category {index}", width, height),
                    "unreadable": unreadable,
                }
            )
        lead = (
            f"{members.num_categories} categories discovered in "
            f"{sum(map(len, members.ordered))} training photos"
        )
        content = render(
            "categories", names_file=work_dir / NAMES_FILE, named=len(names.names), cards=cards
        )
        write_page(folder, "Discovered categories", lead, [Section("Categories", content)])
    return work_dir / "categories" / "index.html"


def _true_names(path: Path | None, dataset: BaseDataset, num_categories: int) -> dict[int, str]:
    """Return generated id -> name of the true class that evaluation matched it to, if known."""
    if path is None:
        return {}
    match, legend = read_match(path), true_legend(dataset.metainfo)
    matched = np.flatnonzero(match[: num_categories + 1]).tolist()
    return {index: legend.name(int(match[index])) for index in matched}


def _pictures(
    photos: NDArray[np.int64],
    dataset: BaseDataset,
    labels: Path,
    category: int,
    unreadable: list[str],
) -> list[NDArray[np.uint8]]:
    """Return photos with the category's region highlighted; add errors to ``unreadable``."""
    pictures = []
    for photo in photos.tolist():
        item = dataset.get_data_info(photo)
        try:
            picture, full = read_thumbnail(item, _SIDE)
            ids = read_fitting_mask({"seg_map_path": labels / f"{item['image_id']}.png"}, full)
        except LussError as error:
            unreadable.append(str(error))
            continue
        region = resize_ids(ids, picture.shape[:2]) == category
        pictures.append(spotlight(picture, region, _OUTLINE))
    return pictures
