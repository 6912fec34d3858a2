"""Sheets of a run's discovered categories, and ``names.json``."""

import os
from dataclasses import dataclass
from pathlib import Path

from mmengine import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import init_default_scope

from luss.errors import LussError
from luss.evaluation.category_names import (
    NAMES_FILE,
    CategoryNames,
    complete_category_names,
    digest_of_clustering,
    read_category_names,
)
from luss.files import output_folder
from luss.pipeline import Context
from luss.pipeline.context import move_data
from luss.pipeline.inputs import StageInputs
from luss.pipeline.work_dir import WorkDir
from luss.visualization.category_sheets import read_members, write_category_sheets

__all__ = ["NamingFiles", "name_categories"]


@dataclass(frozen=True)
class NamingFiles:
    """Written files.

    Attributes:
        page: with all sheets.
        names_file: for users to fill in.
        added: categories that were added to it.
        twins: name -> its categories, if there are several that are not merged.
    """

    page: Path
    names_file: Path
    added: list[int]
    twins: dict[str, list[int]]


def name_categories(
    work_dir: str | os.PathLike,
    typical: int = 24,
    spread: int = 16,
    data_root: str | os.PathLike | None = None,
) -> NamingFiles:
    """Write ``categories/`` of a run, and add missing categories to ``names.json``.

    Later stages of the run may be running; only their match is read.

    Args:
        work_dir: of a run whose label generation is complete.
        typical: photos per sheet that are nearest to the centroid.
        spread: more photos, evenly spaced from near to far.
        data_root: folder of the photos, if they have moved.

    Raises:
        LussError: if the run has no categories yet, the photos differ from the clustered ones, or
            ``names.json`` is invalid.
    """
    init_default_scope("luss")
    root = output_folder(work_dir, "WORK_DIR")
    folder = WorkDir(root)
    config = folder.config()
    outputs = folder.outputs()
    if "clustering" not in outputs:
        raise LussError(
            f"no finished stage of {root} has discovered categories, so there are none to name "
            "yet. If the run is in progress, wait for it; if it was stopped, resume it with: luss "
            f"run {root / 'config.py'} --work-dir {root} --resume"
        )
    file = outputs["clustering"]
    if missing := [role for role in ("embeddings", "pseudo_labels") if role not in outputs]:
        raise LussError(
            f"{file.parent} has no {' and '.join(missing)}; restore them, or delete "
            f"{file.parent / 'done.json'} and run with --resume to recompute them"
        )
    dataset = _photos(folder, file.parent.name, config, data_root)
    members = read_members(file, outputs["embeddings"], len(dataset))
    path, count = root / NAMES_FILE, members.num_categories
    clustering = digest_of_clustering(file)
    names = read_category_names(path, count, clustering)
    page = write_category_sheets(root, dataset, members, names, outputs, typical, spread)
    added = complete_category_names(path, count, clustering)
    return NamingFiles(page, path, added, _twins(names))


def _photos(
    work_dir: WorkDir, stage: str, config: Config, data_root: str | os.PathLike | None
) -> BaseDataset:
    """Return the training photos; check that the stage clustered the same photos."""
    if data_root is not None:
        move_data(config, data_root)
    context = Context(config, work_dir)
    inputs = StageInputs.read(work_dir, stage)
    root = context.data["data_root"]
    if inputs is not None and (difference := inputs.difference(context.photo_list, root)):
        raise LussError(f"the photos{difference} Give the folder that was clustered (--data-root)")
    return context.dataset({"split": "train", "pipeline": []})


def _twins(names: CategoryNames) -> dict[str, list[int]]:
    ids_of: dict[str, list[int]] = {}
    for index, name in names.names.items():
        if names.kept[index] == index:
            ids_of.setdefault(name, []).append(index)
    return {name: ids for name, ids in ids_of.items() if len(ids) > 1}
