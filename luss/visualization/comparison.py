"""Segmentations of several methods side by side (figure 11), from the work dirs of their runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmengine.dataset import BaseDataset

from luss.errors import LussError
from luss.evaluation.matching import read_match
from luss.files import MARK, create_output_folder
from luss.visualization.colours import Legend, generated_legend, true_legend
from luss.visualization.gallery import evenly_spaced
from luss.visualization.markup import Row, render
from luss.visualization.metrics_table import in_percent
from luss.visualization.photo_rows import coloured_mask, key_of, photo_row
from luss.visualization.pictures import PictureFolder
from luss.visualization.report import whole_folder, write_page
from luss.visualization.sections import Section
from luss.visualization.sources import read_object

__all__ = ["Method", "build_comparison", "read_method"]

_LONGEST_SIDE = 256
_SHORT = {"validation": "val"}
_SHOWN_METRICS = ("mIoU", "b-mIoU", "Img-Acc", "F_beta")


@dataclass(frozen=True)
class Method:
    """Predictions of a run.

    Attributes:
        name: displayed name.
        predictions: folder of ``<image_id>.png``.
        legend: of their ids.
        metrics: of the split, in percent; empty if none were written.
    """

    name: str
    predictions: Path
    legend: Legend
    metrics: Mapping[str, float | None]


def read_method(
    name: str, path: Path, split: str, true: Legend, protocol: str = "fully_unsupervised"
) -> Method:
    """Find the predictions of a split.

    Args:
        name: displayed name.
        path: folder of a stage with predictions. If it contains ``match.json``, predictions have
            generated ids, otherwise true ids.
        split: of the data set.
        true: colours of the true classes.
        protocol: its metrics are used if ``results.json`` has none under the stage's name.

    Raises:
        LussError: if there are no predictions, or the match is damaged.
    """
    folder = path / "predictions" / split
    if not folder.is_dir():
        raise LussError(
            f"{path} has no predictions of {split}: the folder {folder} is missing. Give a work "
            "dir with a finished evaluation, or the folder of a stage with predictions"
        )
    legend = true
    if (path / "match.json").exists():
        match = read_match(path / "match.json")
        legend = generated_legend(len(match) - 1, match, true)
    results = read_object(path.parent / "results.json") or {}
    table = results.get(path.name, results.get(protocol, {}))
    return Method(name, folder, legend, table.get(_SHORT.get(split, split), {}))


def build_comparison(
    out: Path,
    paths: Mapping[str, Path],
    dataset: BaseDataset,
    split: str,
    max_photos: int = 24,
) -> Path:
    """Write ``index.html`` and its pictures into a folder atomically.

    Args:
        out: the folder; an earlier comparison in it is replaced.
        paths: name -> path, see :func:`read_method`, in order.
        dataset: of the split, with true masks or without.
        split: of the data set.
        max_photos: largest number of photos, evenly spaced.

    Returns:
        The path of the page.

    Raises:
        LussError: if a method has no predictions, or the folder contains other files.
    """
    if max_photos < 1:
        raise LussError(f"max_photos is {max_photos}. Expected 1 or more")
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not _is_page(out))):
        raise LussError(f"{out} is not empty and contains no comparison. Choose another folder")
    true = true_legend(dataset.metainfo)
    methods = [read_method(name, path, split, true) for name, path in paths.items()]
    out.parent.mkdir(parents=True, exist_ok=True)
    chosen = evenly_spaced(len(dataset), max_photos)
    items = [dataset.get_data_info(int(index)) for index in chosen]
    with_truth = any(item.get("seg_map_path") for item in items)
    with whole_folder(out) as folder:
        create_output_folder(folder)
        pictures = PictureFolder(folder, "pictures")
        rows = []
        for item in items:
            made = {"truth": coloured_mask(item, true)} if with_truth else {}
            for method in methods:
                prediction = {"seg_map_path": method.predictions / f"{item['image_id']}.png"}
                made[method.name] = coloured_mask(prediction, method.legend)
            rows.append(photo_row(item, _LONGEST_SIDE, made, pictures))
        table = render(
            "table",
            corner=f"{split}, %",
            columns=_SHOWN_METRICS,
            rows=[
                Row(method.name, [in_percent(method.metrics.get(name)) for name in _SHOWN_METRICS])
                for method in methods
            ],
        )
        photos = render(
            "photos",
            note="A colour is that of the true class which the method's category is matched to.",
            key=key_of(True, true if with_truth else None),
            rows=rows,
            columns=min(8, 1 + with_truth + len(methods)),
        )
        sections = [Section("Metrics", table), Section("Photos", photos)]
        lead = f"{len(methods)} methods · {len(items)} of {len(dataset)} photos of {split}"
        write_page(folder, "Methods side by side", lead, sections)
    return out / "index.html"


def _is_page(folder: Path) -> bool:
    return {path.name for path in folder.iterdir()} - {MARK} == {"index.html", "pictures"}
