"""The report of a run: one page and its pictures, from files of the work dir."""

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mmengine.dataset import BaseDataset

from luss.build_errors import named_functions
from luss.errors import LussError
from luss.registry import REPORT_SECTIONS
from luss.visualization.markup import render
from luss.visualization.run_files import RunFiles
from luss.visualization.sections import DEFAULT_SECTIONS, Section

__all__ = ["build_report", "whole_folder", "write_page"]


def build_report(
    work_dir: Path,
    train_dataset: BaseDataset,
    gallery_dataset: BaseDataset,
    gallery_split: str,
    title: str,
    sections: Sequence[str | dict] = DEFAULT_SECTIONS,
    *,
    name: str = "report",
    outputs: Mapping[str, Path],
    trained: Mapping[str, Path],
) -> Path:
    """Write ``work_dir/<name>/index.html`` and its pictures atomically, without running a model.

    The page lists missing outputs and omitted content. Errors replace unreadable pictures.

    Args:
        work_dir: of the run; see ARCHITECTURE.md for what it holds.
        train_dataset: see :class:`luss.visualization.RunFiles`, as the next two.
        gallery_dataset: photos to show.
        gallery_split: their split.
        title: of the page.
        sections: names of ``REPORT_SECTIONS``, or dicts of ``type`` and arguments, in order.
        name: of the report's folder in the work dir.
        outputs: role -> path, see :class:`luss.visualization.RunFiles`, as the next.
        trained: stage -> folder.

    Returns:
        The path of the page, which opens without a server.

    Raises:
        LussError: if there is no work dir, a section or an argument of it is unknown, a number is
            below 1, a file of the work dir is damaged, or the clustering belongs to another data
            set.
    """
    work_dir = Path(work_dir)
    if not work_dir.is_dir():
        raise LussError(f"there is no work dir {work_dir} to report on")
    functions = named_functions(sections, REPORT_SECTIONS, "sections")
    with whole_folder(work_dir / name) as folder:
        run = RunFiles(
            work_dir, train_dataset, gallery_dataset, gallery_split, folder, outputs, trained
        )
        lead = _summary(run)
        made = [function(run) for _, function in functions]
        write_page(folder, title, lead, [section for section in made if section is not None])
    return work_dir / name / "index.html"


def _summary(run: RunFiles) -> str:
    facts = []
    if run.clustering is not None:
        facts.append(
            f"{run.clustering.num_categories} categories discovered in "
            f"{len(run.clustering.assignments)} training images"
        )
    if run.threshold is not None:
        facts.append(f"threshold {run.threshold}")
    facts.append(f"{len(run.gallery_dataset)} photos in {run.gallery_split}")
    return " · ".join(facts)


def write_page(folder: Path, title: str, lead: str, sections: Sequence[Section]) -> None:
    """Write ``index.html`` with title, summary line and sections into a folder."""
    page = render("page", title=title, lead=lead, sections=sections)
    (folder / "index.html").write_text(page, encoding="utf-8")


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder that replaces ``path`` on success; delete earlier leftovers."""
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
