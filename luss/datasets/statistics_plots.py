"""Plots like figures 4 to 6 of the paper for any split root."""

import os
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from luss.datasets.statistics import SIZE_GROUPS, Statistics
from luss.files import atomic_write

__all__ = ["plot_statistics"]


def plot_statistics(splits: dict[str, Statistics], folder: str | os.PathLike) -> list[Path]:
    """Draw the figures as PNG files.

    Args:
        splits: name of a split -> its counts.
        folder: folder to write to.

    Returns:
        The written files.
    """
    masked = {name: counts for name, counts in splits.items() if counts.with_mask}
    figures = {"images_per_class": _per_class(splits, "of_folder", "images in the class folder")}
    if masked:
        figures |= {
            "masks_per_class": _per_class(masked, "with_class", "images with the class"),
            "pixels_per_class": _per_class(masked, "pixels", "pixels"),
            "categories_per_image": _categories(masked),
            "object_sizes": _sizes(masked),
            "positions": _positions(masked),
        }
    paths = []
    for name, figure in figures.items():
        paths.append(Path(folder, f"{name}.png"))
        with atomic_write(paths[-1]) as file:
            figure.savefig(file, format="png", dpi=120, bbox_inches="tight")
        plt.close(figure)
    return paths


def _per_class(splits: dict[str, Statistics], what: str, label: str) -> Figure:
    """Plot sorted counts of classes, one line per split (figure 4)."""
    figure, axes = plt.subplots(figsize=(7, 3.5))
    for name, counts in splits.items():
        values = sorted(getattr(counts, what)[1:], reverse=True)
        axes.plot(range(1, len(values) + 1), values, marker=".", label=name)
    axes.set(xlabel="classes, sorted", ylabel=label)
    axes.set_ylim(bottom=0)
    axes.legend()
    axes.grid(alpha=0.3)
    return figure


def _categories(splits: dict[str, Statistics]) -> Figure:
    """Plot images by their number of categories (table 2)."""
    figure, axes = plt.subplots(figsize=(5, 3.5))
    highest = max(int(counts.categories.nonzero()[0].max()) for counts in splits.values())
    width = 0.8 / len(splits)
    for place, (name, counts) in enumerate(splits.items()):
        share = 100 * counts.categories[: highest + 1] / counts.with_mask
        middles = [number + (place - (len(splits) - 1) / 2) * width for number in range(len(share))]
        axes.bar(middles, share, width, label=name)
    axes.set(xlabel="categories in an image", ylabel="% of images", xticks=range(highest + 1))
    axes.legend()
    return figure


def _sizes(splits: dict[str, Statistics]) -> Figure:
    """Plot objects by their share of the image, with the bounds of size groups (figure 5)."""
    figure, axes = plt.subplots(figsize=(7, 3.5))
    for name, counts in splits.items():
        objects = max(1, counts.sizes.sum())
        axes.step(range(1, 101), 100 * counts.sizes / objects, where="mid", label=name)
    for group, (low, high) in SIZE_GROUPS.items():
        axes.axvline(high + 0.5, color="0.7", linestyle=":")
        axes.text((low + high) / 2, axes.get_ylim()[1], group, ha="center", va="bottom")
    axes.set(xlabel="size of an object in % of its image", ylabel="% of objects", xlim=(0, 100.5))
    axes.legend()
    return figure


def _positions(splits: dict[str, Statistics]) -> Figure:
    """Plot the positions of masks (top) and of their boundaries (bottom) (figure 6)."""
    figure, rows = plt.subplots(
        2, len(splits), figsize=(3.2 * len(splits) + 0.6, 6), squeeze=False, layout="constrained"
    )
    for column, (name, counts) in enumerate(splits.items()):
        maps = {"masks": counts.positions, "boundaries": counts.boundaries}
        for axes, (what, values) in zip(rows[:, column], maps.items(), strict=True):
            image = axes.imshow(values / counts.with_mask, cmap="viridis", vmin=0)
            axes.set(title=f"{name}: {what}", xticks=[], yticks=[])
            figure.colorbar(image, ax=axes, shrink=0.8)
    return figure
