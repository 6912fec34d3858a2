"""Listings of a folder and reads of headers, in this process and in those that it forks."""

import contextlib
import os
import sys
from collections import Counter
from pathlib import Path

from mmengine import Config

from luss.pipeline import Context
from luss.pipeline.work_dir import WorkDir
from luss.registry import DATASETS

_root, _log = "", -1


def _note(event, arguments):
    kind = {"os.scandir": "listed", "os.listdir": "listed", "open": "header"}.get(event)
    if _root and kind and isinstance(arguments[0], str | os.PathLike):
        path = os.path.abspath(arguments[0])  # noqa: PTH100
        if (path == _root or path.startswith(f"{_root}/")) and (
            kind == "listed" or _is_called_by("image_header")
        ):
            os.write(_log, f"{kind} {os.path.relpath(path, _root)}\n".encode())


def _is_called_by(name):
    frame = sys._getframe()
    while frame is not None and frame.f_code.co_name != name:
        frame = frame.f_back
    return frame is not None


@contextlib.contextmanager
def counted(root, log):
    """Count what happens to a folder; a hook of Python's sees every call.

    Yields:
        A Counter, filled at the end: 'listed FOLDER' and 'header PHOTO' -> number of times.
    """
    global _root, _log
    if not hasattr(sys, "_counts_photo_reads"):
        sys.addaudithook(_note)
        sys._counts_photo_reads = True
    _log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    counts = Counter()
    try:
        _root = str(Path(root).resolve())
        yield counts
    finally:
        _root = ""
        os.close(_log)
        counts.update(Path(log).read_text().splitlines())


def read_photos(rank, folder, root):
    """Build data sets of the photos, as one of several processes; the log is ``folder/rank``."""
    context = Context(Config({"data_root": root, "stages": {}}), WorkDir(f"{folder}/run"))
    with counted(root, f"{folder}/{rank}"):
        for config in ({"split": "train"}, {"split": "train", "indices": 2}):
            built = context.dataset(config), DATASETS.build(context.dataset_config(config))
            assert [len(dataset) for dataset in built] == [config.get("indices", 12)] * 2
