"""Counts over folders of predictions, of any framework, and of true masks.

Images are streamed, so memory does not grow with their number. All problems are collected; if there
are any, no metrics are computed.
"""

import io
import multiprocessing
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from luss.datasets.mask_codec import (
    IGNORE_ID,
    INDEX_HINT,
    MaskEncoding,
    check_size,
    has_palette,
    ignored_value,
    open_mask,
    read_mask,
)
from luss.datasets.mask_tally import MaskTally
from luss.errors import LussError, Problems
from luss.evaluation.counting import count_image
from luss.evaluation.counts import Counts
from luss.evaluation.matching import apply_match
from luss.files import is_system_name

__all__ = [
    "MASK_SUFFIXES",
    "FolderPair",
    "count_masks",
    "list_masks",
    "mask_class_folders",
    "pair_folders",
    "read_ids",
]

MASK_SUFFIXES = (".png", ".npy")
"""Suffixes of masks: PNG in the official encoding or of single-channel ids, NPY of ids."""

_NPY_HEAD = 1 << 14


@dataclass(frozen=True)
class FolderPair:
    """Predictions and true masks of the same images.

    Attributes:
        predicted: files of predictions by name ('<class folder>/<image>', without suffix).
        true: files of truths by the same names.
        problems: problems found while pairing.
        encoding: of the PNG files.
        categories: class folder -> id of its class, if folders are classes.
    """

    predicted: dict[str, Path]
    true: dict[str, Path]
    problems: Problems = field(default_factory=Problems)
    encoding: MaskEncoding = "rgb"
    categories: Mapping[str, int] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Names with a prediction and a truth, in the order of the truths."""
        return [name for name in self.true if name in self.predicted]


def list_masks(root: str | os.PathLike, problems: Problems | None = None) -> dict[str, Path]:
    """Return the masks below a folder by relative path without suffix, sorted.

    Other files, such as ``match.json``, and system files (`luss.files.is_system_name`) are skipped.

    Args:
        root: the folder.
        problems: collects names that two files share; if None, they raise an error.

    Raises:
        LussError: if the folder is missing.
    """
    root = Path(root)
    if not root.is_dir():
        raise LussError(f"the folder of masks {root} is missing. Correct the path")
    clashes = Problems() if problems is None else problems
    masks: dict[str, Path] = {}
    # Class folders of prepared split roots are links.
    for folder, below, files in os.walk(root, followlinks=True):
        below[:] = sorted(name for name in below if not is_system_name(name))
        for file in files:
            stem, suffix = os.path.splitext(file)  # noqa: PTH122 - thousands of files
            if suffix.lower() not in MASK_SUFFIXES or is_system_name(file):
                continue
            path = Path(folder, file)
            name = path.relative_to(root).with_name(stem).as_posix()
            if name in masks:
                clashes.add("masks of one name", f"{masks[name]} and {path.name}")
            masks[name] = path
    if problems is None:
        clashes.raise_if_any(f"several masks in {root} have the same name")
    return dict(sorted(masks.items()))


def pair_folders(predicted: str | os.PathLike, true: str | os.PathLike) -> FolderPair:
    """Pair the masks of two folders.

    Returns:
        The pair. Its problems contain names without a counterpart and names that two files share.

    Raises:
        LussError: if a folder is missing or empty.
    """
    problems = Problems()
    masks = [list_masks(root, problems) for root in (predicted, true)]
    for root, found in zip((predicted, true), masks, strict=True):
        if not found:
            raise LussError(
                f"there are no masks ({' or '.join(MASK_SUFFIXES)}) in {root}. Expected "
                "<class folder>/<image>.png"
            )
    for name in masks[1].keys() - masks[0].keys():
        problems.add("missing predictions", f"{name}.png")
    for name in masks[0].keys() - masks[1].keys():
        problems.add("extra predictions, without a truth", str(masks[0][name]))
    return FolderPair(masks[0], masks[1], problems)


def mask_class_folders(root: str | os.PathLike) -> list[str]:
    """Return the sorted names of the class folders of masks: class 1, 2, and so on."""
    folders = (path.name for path in Path(root).iterdir() if path.is_dir())
    return sorted(name for name in folders if not is_system_name(name))


def read_ids(path: str | os.PathLike, encoding: MaskEncoding = "rgb") -> np.ndarray:
    """Read a mask of ids: PNG (see `luss.datasets.mask_codec.read_mask`) or NPY.

    Args:
        path: the file; a NPY file contains integers (H, W) or (1, H, W).
        encoding: of a PNG file.

    Returns:
        (H, W) integers.

    Raises:
        LussError: if it cannot be read or is not a mask.
    """
    if Path(path).suffix.lower() != ".npy":
        return read_mask(path, encoding)
    with open_mask(path) as file:
        shape = _npy_shape(file.read(_NPY_HEAD), path)
        try:
            file.seek(0)
            ids = np.lib.format.read_array(file, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise LussError(f"cannot read the mask {path}: {error}") from error
    return ids.reshape(shape)


def _npy_shape(head: bytes, path: str | os.PathLike) -> tuple[int, int]:
    """Return (H, W) from the header of a NPY file, before memory is allocated."""
    header = io.BytesIO(head)
    try:
        version = np.lib.format.read_magic(header)
        # Later versions are for named fields, which masks lack.
        readers = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        if version not in readers:
            raise ValueError(f"it has version {version}, expected 1.0 or 2.0")
        shape, _, dtype = readers[version](header)
    except Exception as error:  # the header is parsed as Python and may raise anything
        raise LussError(f"cannot read the mask {path}: {error}") from error
    if len(shape) == 3 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) != 2 or dtype.kind not in "iu":
        raise LussError(f"the mask {path} contains {dtype} of {shape}. Expected integers (H, W)")
    check_size(shape, path)
    return shape


def count_masks(
    pair: FolderPair,
    num_classes: int,
    num_generated: int | None = None,
    match: np.ndarray | None = None,
    boundary: bool = True,
    jobs: int = 1,
    progress: Callable[[int], None] | None = None,
    tally: MaskTally | None = None,
) -> tuple[Counts, Problems]:
    """Count all images of two folders, and collect all problems.

    Args:
        pair: the masks, see `pair_folders`.
        num_classes: C, true classes without 'other'.
        num_generated: largest predicted id; by default the match's largest, or C.
        match: (G+1,) true ids, applied to the predictions before counting.
        boundary: whether to count boundaries.
        jobs: number of processes.
        progress: called with the number of finished images, about once a second and at the end.
        tally: counts over the truths are added to it.

    Returns:
        Sums over true ids with a match, else over the predictions' own ids; and the problems,
        including those of ``pair``. If there is any, the sums are invalid.

    Raises:
        LussError: if an option is invalid, or a worker process ends.
    """
    if jobs < 1:
        raise LussError(f"jobs is {jobs}. Expected at least 1")
    if num_generated is None:
        num_generated = num_classes if match is None else len(match) - 1
    rows = num_generated if match is None else num_classes
    shared = (pair, num_classes, num_generated, match, boundary, rows)
    if jobs == 1:
        counts, problems, held = _count_shard(slice(None), shared, progress)
    else:
        counts, problems, held = _count_in_processes(shared, jobs, progress)
    if tally is not None:
        tally += held
    return counts, pair.problems + problems


def _count_shard(
    shard: slice, shared: tuple, progress: Callable[[int], None] | None
) -> tuple[Counts, Problems, MaskTally]:
    pair, num_classes, num_generated, match, boundary, rows = shared
    counts, problems = Counts.zeros(num_classes, rows, boundary), Problems()
    held = MaskTally(num_classes)
    names = pair.names[shard]
    for done, name in enumerate(names, 1):
        masks = _read_pair(pair, name, num_classes, num_generated, problems)
        # After the first problem, files are only checked.
        if masks is not None and not problems and not pair.problems:
            prediction = masks[0] if match is None else apply_match(masks[0], match)
            counts.add(count_image(prediction, masks[1], num_classes, rows, boundary))
            category = pair.categories.get(name.partition("/")[0], 0)
            held.add_mask(masks[1], category, os.fspath(pair.true[name]))
        if progress is not None and (done % 64 == 0 or done == len(names)):
            progress(done)
    return counts, problems, held


def _read_pair(
    pair: FolderPair, name: str, num_classes: int, num_generated: int, problems: Problems
) -> tuple[np.ndarray, np.ndarray] | None:
    """Read and check one image's masks; return None if there is a problem."""
    masks, encoding = [], pair.encoding
    for kind, path in (("prediction", pair.predicted[name]), ("truth", pair.true[name])):
        try:
            masks.append(read_ids(path, encoding))
        except LussError as error:
            problems.add(f"unreadable {kind}s", str(error))
    if len(masks) < 2:
        return None
    prediction, truth = masks
    if prediction.shape != truth.shape:
        size, expected = ("x".join(map(str, mask.shape)) for mask in masks)
        problems.add(
            "wrongly sized predictions (height x width)",
            f"{pair.predicted[name]}: {size} instead of {expected}",
        )
        return None
    low, high = prediction.min(initial=0), prediction.max(initial=0)
    if low < 0 or high > num_generated:
        path = pair.predicted[name]
        found = low if low < 0 else ignored_value(encoding) if high == IGNORE_ID else high
        problems.add(
            f"predictions with ids outside 0..{num_generated}{_hint(path, found, encoding)}",
            f"{path}: {found}",
        )
        return None
    outside = (truth > num_classes) & (truth != IGNORE_ID) | (truth < 0)
    if outside.any():
        path, largest = pair.true[name], truth[outside].max()
        hint = _hint(path, largest, encoding) or " (check the number of classes)"
        problems.add(
            f"truths with ids outside 0..{num_classes} and {ignored_value(encoding)}{hint}",
            f"{path}: {largest}",
        )
        return None
    return prediction, truth


def _hint(path: Path, found: int, encoding: MaskEncoding) -> str:
    """Return advice for an unknown id if the encoding is the likely reason, or ''."""
    if encoding == "index" or path.suffix.lower() == ".npy":
        return ""
    if has_palette(path):
        return f" (they have palettes: {INDEX_HINT})"
    return f" (if 255 is ignored: {INDEX_HINT})" if found == ignored_value("index") else ""


def _count_in_processes(
    shared: tuple, jobs: int, progress: Callable[[int], None] | None
) -> tuple[Counts, Problems, MaskTally]:
    # Forked workers start at once; spawned ones import the package again.
    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    done = context.Array("q", jobs, lock=False)
    with ProcessPoolExecutor(jobs, context, _begin_worker, (done, shared)) as pool:
        pending = [pool.submit(_work, job, jobs) for job in range(jobs)]
        tasks, waiting = list(pending), set(pending)
        while waiting:
            waiting = wait(waiting, timeout=1).not_done
            if progress is not None:
                progress(sum(done))
        try:
            parts = [task.result() for task in tasks]
        except BrokenProcessPool as error:
            raise LussError(
                "a worker process ended unexpectedly, perhaps out of memory. Use fewer jobs"
            ) from error
    counts, problems, held = parts[0]
    for more_counts, more_problems, more_held in parts[1:]:
        counts += more_counts
        problems += more_problems
        held += more_held
    return counts, problems, held


_worker: dict = {}


def _begin_worker(done, shared: tuple) -> None:
    _worker.update(done=done, shared=shared)


def _work(job: int, jobs: int) -> tuple[Counts, Problems, MaskTally]:
    def progress(images: int) -> None:
        _worker["done"][job] = images

    return _count_shard(slice(job, None, jobs), _worker["shared"], progress)
