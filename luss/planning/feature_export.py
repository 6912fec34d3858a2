"""Features of the photos of a folder as files for other programs: ``luss features``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mmengine import Config
from mmengine.dataset import BaseDataset

from luss.configuration import read_config
from luss.datasets import kind_of_data
from luss.datasets.feature_files import FeatureFolder
from luss.errors import LussError
from luss.files import create_output_folder, remove_unfinished, temporary_folder, write_json
from luss.pipeline import Pipeline
from luss.planning.foregrounds import PRETRAINED
from luss.planning.settings import Backbone
from luss.registry import DATASETS

__all__ = ["export_features"]

_STAGES = ("pretrain", "features")
_INDEX = "index.json"


def export_features(
    photos: str, backbone: Backbone, out: Path, size: int | None = None, half: bool = False
) -> FeatureFolder:
    """Compute the features of all photos of a folder, and write them for other programs.

    The output folder has the files of :mod:`luss.datasets.feature_files`, ``features.npy`` (N, L)
    float32, the mean of the last map of each photo, and ``index.json``, which lists the N photos in
    the order of the rows, with the rows of their cells in each map.

    Args:
        photos: a folder of photos, flat or nested.
        backbone: a pretrained one.
        out: a new or empty folder.
        size: short side of the photos for the network, in pixels; by default about 224.
        half: whether to write the maps as float16.

    Returns:
        The maps.

    Raises:
        LussError: if there is no such folder, backbone or file, the output folder is not empty, the
            size is not positive, or a folder of photos with splits is given.
    """
    root = Path(photos).expanduser()
    if not root.is_dir():
        raise LussError(f"{photos} is not a folder; give a folder of photos")
    if size is not None and size < 1:
        raise LussError(f"--size is {size}, expected a number of pixels above 0")
    if out.is_dir() and any(not path.name.startswith(".") for path in out.iterdir()):
        raise LussError(f"--out {out} is not empty; choose a new folder")
    kind = kind_of_data(root)
    if kind != "PhotoFolder":
        raise LussError(
            f"{photos} is read as {kind}, whose folders are splits and masks; give the folder of "
            f"one split, such as {root / 'train'}"
        )
    config = _config(root, backbone, size, half)
    create_output_folder(out)
    remove_unfinished(out)
    with temporary_folder(out) as folder:
        work_dir = Path(folder) / "run"
        Pipeline(config, str(work_dir)).run()
        stage = work_dir / _STAGES[-1]
        dataset = Config.fromfile(stage / "config.py").test_dataloader.train.dataset
        paths = _paths_of(DATASETS.build({**dataset, "pipeline": []}), root)
        maps = stage / "maps" / "train"
        found = FeatureFolder(maps)
        np.save(maps / "features.npy", _means(found), allow_pickle=False)
        index = {
            "backbone": backbone.name,
            "short_side": config.short_side,
            "photos": list(_entries(found, paths)),
            "unreadable": [paths[image_id] for image_id in found.unreadable],
        }
        write_json(maps / _INDEX, index)
        # The index comes last: with it, the output is complete.
        for path in sorted(maps.iterdir(), key=lambda path: path.name == _INDEX):
            path.rename(out / path.name)
    return FeatureFolder(out)


def _config(root: Path, backbone: Backbone, size: int | None, half: bool) -> Config:
    options = {**backbone.options(), "data_root": str(root), "data.type": "PhotoFolder"}
    options["stages.features.test_cfg.precision"] = "half" if half else "single"
    if size is not None:
        options["short_side"] = size
    config = read_config(PRETRAINED, options)
    config.stages = {name: config.stages[name] for name in _STAGES}
    return config


def _paths_of(dataset: BaseDataset, root: Path) -> dict[str, str]:
    """Return id of each photo -> its path below the folder."""
    items = map(dataset.get_data_info, range(len(dataset)))
    return {item["image_id"]: Path(item["img_path"]).relative_to(root).as_posix() for item in items}


def _means(found: FeatureFolder) -> np.ndarray:
    means = np.zeros((len(found), found.channels[-1]), np.float32)
    for row, image_id in enumerate(found.ids):
        means[row] = found.read(image_id).maps[-1].mean(axis=(0, 1), dtype=np.float64)
    return means


def _entries(found: FeatureFolder, paths: dict[str, str]) -> Iterator[dict[str, Any]]:
    for image_id, photo in zip(found.ids, found.photos, strict=True):
        sizes, firsts = photo["size"].tolist(), photo["first"].tolist()
        maps = [
            {"first": first, "height": height, "width": width}
            for first, (height, width) in zip(firsts, sizes, strict=True)
        ]
        yield {
            "path": paths[image_id],
            "size": photo["photo"].tolist(),
            "image_size": photo["image"].tolist(),
            "maps": maps,
        }
