"""Sections of a report: registered functions from a run's files to heading and content."""

from pathlib import Path
from typing import NamedTuple

from luss.errors import LussError
from luss.registry import REPORT_SECTIONS
from luss.visualization.curves import scalars_section, threshold_section
from luss.visualization.discovered import discovered_section
from luss.visualization.gallery import GallerySources, gallery_section
from luss.visualization.markup import Markup
from luss.visualization.metrics_table import metrics_section, provenance_section
from luss.visualization.run_files import RunFiles

__all__ = ["DEFAULT_SECTIONS", "Section"]

DEFAULT_SECTIONS = (
    "metrics",
    "gallery",
    "discovered",
    "threshold",
    "training",
    "provenance",
)


class Section(NamedTuple):
    """A part of the page.

    Attributes:
        heading: of the part; its first word in lower case is the anchor.
        content: below the heading.
    """

    heading: str
    content: Markup


@REPORT_SECTIONS.register_module(name="metrics")
def _metrics(run: RunFiles) -> Section:
    measurable = run.gallery_split != "train"
    table = metrics_section(run.results, run.threshold, run.match is not None, measurable)
    return Section("Metrics", table)


@REPORT_SECTIONS.register_module(name="gallery")
def _gallery(run: RunFiles, max_photos: int = 60) -> Section:
    """Return at most ``max_photos`` photos with true masks, predictions and foreground maps."""
    _require_positive(max_photos=max_photos)

    def folder(role: str) -> Path | None:
        path = run.outputs.get(role)
        return path / run.gallery_split if path and (path / run.gallery_split).is_dir() else None

    other_source = folder("foreground")
    sources = GallerySources(
        predictions=folder("predictions"),
        maps=other_source or folder("attention"),
        map_name="foreground" if other_source else "mean attention",
        generated=run.generated,
        true=run.true,
        matched=run.match is not None,
        threshold=None if run.threshold is None else run.threshold.value,
    )
    photos = gallery_section(run.gallery_dataset, sources, run.pictures("gallery"), max_photos)
    return Section(f"Photos of {run.gallery_split}", photos)


@REPORT_SECTIONS.register_module(name="discovered")
def _discovered(run: RunFiles, examples_per_category: int = 8, max_examples: int = 4000) -> Section:
    """Return training photos of each category, at most ``max_examples`` in total."""
    _require_positive(examples_per_category=examples_per_category, max_examples=max_examples)
    examples = discovered_section(
        run.train_dataset,
        run.clustering,
        run.outputs.get("pseudo_labels"),
        run.generated,
        run.pictures("discovered"),
        examples_per_category,
        max_examples,
    )
    return Section("Discovered categories", examples)


@REPORT_SECTIONS.register_module(name="threshold")
def _threshold(run: RunFiles) -> Section:
    return Section("Threshold", threshold_section(run.threshold))


@REPORT_SECTIONS.register_module(name="training")
def _training(run: RunFiles) -> Section:
    return Section("Training", scalars_section(run.trained))


@REPORT_SECTIONS.register_module(name="provenance")
def _provenance(run: RunFiles) -> Section | None:
    """Return the provenance of the metrics; None if nothing can be measured."""
    if run.results is None and run.gallery_split == "train":
        return None
    return Section("Provenance", provenance_section(run.results))


def _require_positive(**limits: int) -> None:
    for name, value in limits.items():
        if value < 1:
            raise LussError(f"{name} is {value}, expected 1 or more")
