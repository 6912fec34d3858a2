"""Predict any number of photos into a folder, and go on where a killed prediction stopped."""

import errno
import logging
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.logging import print_log

from luss.apis.inferencer import LUSSInferencer, check_loading
from luss.apis.photos import Photo, as_paths, find_given, name_outputs
from luss.apis.prediction_folder import OUTPUTS, PredictionFolder
from luss.datasets.image_io import read_image
from luss.datasets.photo_listing import shorten
from luss.engine.checkpoint import checkpoint_digest
from luss.errors import LussError
from luss.files import output_folder
from luss.folder_lock import alone_in

__all__ = ["PredictedPhotos", "predict_photos"]


@dataclass(frozen=True)
class PredictedPhotos:
    """What became of photos.

    Attributes:
        predicted: now.
        before: had been predicted before.
        unreadable: photos that cannot be read, or whose outputs cannot be named, and why.
    """

    predicted: int
    before: int
    unreadable: list[tuple[Photo, str]]


def predict_photos(
    inferencer: LUSSInferencer,
    given: str | os.PathLike | Iterable[str | os.PathLike],
    out: str | os.PathLike,
    *,
    outputs: Sequence[str] = OUTPUTS,
    rle: bool = False,
    batch_size: int = 1,
    num_workers: int = 0,
) -> PredictedPhotos:
    """Predict photos and write what is found; photos that are done are not done again.

    Args:
        inferencer: predicts.
        given: paths of photos and folders; a single one stands for itself.
        out: folder to write, see ``docs/prediction.md``.
        outputs: some of ``OUTPUTS``.
        rle: whether ``predictions.json`` holds the masks as run lengths.
        batch_size: photos that are loaded together.
        num_workers: processes that load photos.

    Raises:
        LussError: if there are no photos, the folder lies among them, holds predictions of other
            photos or something else or is written by another process, or no photo can be predicted.
    """
    unknown = [output for output in outputs if output not in OUTPUTS]
    if unknown:
        raise LussError(f"there is no output {unknown[0]!r}; known are: {', '.join(OUTPUTS)}")
    check_loading(batch_size, num_workers)
    given = as_paths(given)
    out = output_folder(out, "--out")
    _refuse_among_photos(out, given)
    photos, rejected = name_outputs(find_given(given))
    _require_any(photos, rejected)
    folder = PredictionFolder(out, inferencer.categories, tuple(outputs), rle)
    folder.refuse_if_foreign()
    with alone_in(out, "--out"):
        folder.begin(
            {
                "checkpoint": checkpoint_digest(inferencer.run.checkpoint),
                "upright": inferencer.upright,
            },
            given,
        )
        pending = [photo for photo in photos if not folder.is_done(photo)]
        if len(pending) < len(photos):
            print_log(f"{len(photos) - len(pending)} photos have been predicted before", "current")
        failed = _predict(inferencer, photos, pending, folder, batch_size, num_workers)
        without = {photo for photo, _ in failed}
        unreadable = [*rejected, *failed]
        _require_any([photo for photo in photos if photo not in without], unreadable)
        folder.finish(photos, unreadable)
    _say_unreadable(unreadable)
    predicted = len(pending) - len(failed)
    return PredictedPhotos(predicted, len(photos) - len(pending), unreadable)


def _predict(
    inferencer: LUSSInferencer,
    photos: Sequence[Photo],
    pending: Collection[Photo],
    folder: PredictionFolder,
    batch_size: int,
    num_workers: int,
) -> list[tuple[Photo, str]]:
    """Write the outputs of pending photos, and return those that failed, with the reasons."""
    pending = set(pending)
    # A photo's batch stays the same, as what is computed depends on it in the last bits.
    batches = [photos[start : start + batch_size] for start in range(0, len(photos), batch_size)]
    chosen = [photo for batch in batches if not pending.isdisjoint(batch) for photo in batch]
    paths = [photo.path for photo in chosen]
    samples = inferencer.stream(paths, batch_size, num_workers) if paths else ()
    unreadable = []
    for photo, sample in zip(chosen, samples, strict=True):
        if photo not in pending:
            continue
        if isinstance(sample, str):
            print_log(sample, "current", logging.WARNING)
            unreadable.append((photo, sample))
            continue
        found, ids = inferencer.found(sample), inferencer.ids(sample)
        del sample
        pixels = read_image(photo.path, inferencer.upright) if folder.needs_pixels else None
        try:
            folder.add(photo, pixels, ids, found)
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            reason = f"{photo.path}: the paths of its outputs in {folder.root} are too long"
            unreadable.append((photo, f"{reason}; choose a shorter --out"))
    return unreadable


def _require_any(photos: Sequence[Photo], unreadable: Sequence[tuple[Photo, str]]) -> None:
    if not photos:
        raise LussError(f"not one of {len(unreadable)} photos can be predicted; {unreadable[0][1]}")


def _refuse_among_photos(out: Path, given: Sequence[str | os.PathLike]) -> None:
    """Refuse a folder whose pictures would be photos the next time."""
    for entry in map(Path, given):
        folder = entry.expanduser().resolve()
        if folder.is_dir() and (out.resolve() == folder or folder in out.resolve().parents):
            raise LussError(
                f"--out {out} lies in {entry}, so that what is written would be taken for photos; "
                "choose a folder beside it"
            )


def _say_unreadable(unreadable: Sequence[tuple[Photo, str]]) -> None:
    if unreadable:
        names = [photo.name for photo, _ in unreadable]
        print_log(
            f"{len(names)} photos cannot be predicted and were skipped: {shorten(names)}; "
            "predictions.json says why",
            "current",
            logging.WARNING,
        )
