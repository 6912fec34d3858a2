"""The report of a run: one page and its pictures, made of what lies in the work dir."""

import contextlib
import shutil
import string
from collections.abc import Iterator
from pathlib import Path

from mmengine.dataset import BaseDataset

from luss.errors import LussError
from luss.evaluation.matching import read_match
from luss.visualization.colours import generated_legend, true_legend
from luss.visualization.curves import scalars_section, threshold_section
from luss.visualization.discovered import discovered_section
from luss.visualization.gallery import GallerySources, gallery_section
from luss.visualization.markup import Markup, element, joined
from luss.visualization.metrics_table import metrics_section, provenance_section
from luss.visualization.pictures import PictureFolder
from luss.visualization.sources import read_clustering, read_object, read_threshold

__all__ = ["build_report"]

_TEMPLATE = Path(__file__).with_name("report.html")


def build_report(
    work_dir: Path,
    train_dataset: BaseDataset,
    gallery_dataset: BaseDataset,
    gallery_split: str,
    title: str,
    examples_per_category: int = 8,
    *,
    max_photos: int = 60,
    max_examples: int = 4000,
) -> Path:
    """Write ``work_dir/report/index.html`` and its pictures, whole or not at all.

    What a run has not made, or not yet, is named on the page; so is what was left out. No model is
    run. Pictures that cannot be read are named in their place.

    Args:
        work_dir: of the run; see ARCHITECTURE.md for what it holds.
        train_dataset: the images that were clustered, in the same order.
        gallery_dataset: photos to show, with true masks (``seg_map_path``) or without.
        gallery_split: name of their folder in ``evaluate/predictions`` and
            ``label_generation/attention``.
        title: of the page.
        examples_per_category: training photos of each discovered category.
        max_photos: most photos in the gallery.
        max_examples: most training photos of all categories together.

    Returns:
        The path of the page, which opens without a server.

    Raises:
        LussError: if there is no work dir, a number is below 1, a file of the work dir is damaged,
            or the clustering belongs to another data set.
    """
    work_dir = Path(work_dir)
    if not work_dir.is_dir():
        raise LussError(f"there is no work dir {work_dir} to report on")
    limits = {
        "examples_per_category": examples_per_category,
        "max_photos": max_photos,
        "max_examples": max_examples,
    }
    for name, value in limits.items():
        if value < 1:
            raise LussError(f"{name} is {value}, expected 1 or more")
    labels, evaluated = work_dir / "label_generation", work_dir / "evaluate"
    results = read_object(work_dir / "results.json")
    threshold = read_threshold(labels / "threshold.json")
    clustering = read_clustering(labels / "centroids.npz", len(train_dataset))
    match_path = evaluated / "match.json"
    match = read_match(match_path) if match_path.exists() else None

    true = true_legend(gallery_dataset.metainfo)
    num_generated = max(
        0 if clustering is None else clustering.num_categories,
        0 if match is None else len(match) - 1,
    )
    generated = generated_legend(num_generated, match, true)
    with _whole_folder(work_dir / "report") as folder:
        gallery = gallery_section(
            gallery_dataset,
            GallerySources(
                predictions=evaluated / "predictions" / gallery_split,
                attention=labels / "attention" / gallery_split,
                generated=generated,
                true=true,
                matched=match is not None,
                threshold=None if threshold is None else threshold.value,
            ),
            PictureFolder(folder, "gallery"),
            max_photos,
        )
        discovered = discovered_section(
            train_dataset,
            clustering,
            labels / "pseudo_labels",
            generated,
            PictureFolder(folder, "discovered"),
            examples_per_category,
            max_examples,
        )
        sections = {
            "Metrics": metrics_section(results, threshold, match is not None),
            f"Photos of {gallery_split}": gallery,
            "Discovered categories": discovered,
            "Threshold": threshold_section(threshold),
            "Training": scalars_section(work_dir),
            "Provenance": provenance_section(results),
        }
        facts = [f"{len(gallery_dataset)} photos in {gallery_split}"]
        if threshold is not None:
            facts.insert(0, f"threshold {threshold.value:g}")
        if clustering is not None:
            facts.insert(
                0,
                f"{clustering.num_categories} categories discovered in "
                f"{len(clustering.assignments)} training images",
            )
        page = _page(title, " · ".join(facts), sections)
        (folder / "index.html").write_text(page, encoding="utf-8")
    return work_dir / "report" / "index.html"


def _page(title: str, lead: str, sections: dict[str, Markup]) -> str:
    anchors = {name: name.split()[0].lower() for name in sections}
    return string.Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=joined(title),
        lead=joined(lead),
        navigation=joined(
            *(element("a", name, href=f"#{anchor}") for name, anchor in anchors.items())
        ),
        sections=joined(
            *(
                element("section", element("h2", name), sections[name], id=anchor)
                for name, anchor in anchors.items()
            )
        ),
    )


@contextlib.contextmanager
def _whole_folder(path: Path) -> Iterator[Path]:
    """A new folder that takes the place of ``path`` once the body has filled it.

    What a killed process left behind is removed first.
    """
    unfinished, former = path.with_name(f".{path.name}.new"), path.with_name(f".{path.name}.old")
    for leftover in (unfinished, former):
        shutil.rmtree(leftover, ignore_errors=True)
    unfinished.mkdir()
    try:
        yield unfinished
        if path.exists():
            path.rename(former)
        unfinished.rename(path)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        if former.exists() and not path.exists():
            former.rename(path)
        raise
    shutil.rmtree(former, ignore_errors=True)
