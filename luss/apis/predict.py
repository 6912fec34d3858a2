"""Predict photos and write the results to a folder; a stopped prediction can be resumed."""

import errno
import logging
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.logging import print_log

from luss.apis.inferencer import LUSSInferencer, check_loading
from luss.apis.photos import GivenPhoto, as_paths, find_given, name_outputs
from luss.apis.prediction_folder import OUTPUTS, PredictionFolder
from luss.datasets.image_io import read_image
from luss.engine.checkpoint import checkpoint_digest
from luss.errors import LussError, shorten
from luss.files import output_folder
from luss.folder_lock import lock_folder

__all__ = ["PredictedPhotos", "predict_photos"]


@dataclass(frozen=True)
class PredictedPhotos:
    """Summary of a prediction.

    Attributes:
        predicted: number of photos predicted now.
        before: number of photos predicted before.
        unreadable: photos that cannot be read or whose outputs cannot be named, with the reason.
    """

    predicted: int
    before: int
    unreadable: list[tuple[GivenPhoto, str]]


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
    """Predict photos and write the results; photos that were predicted before are skipped.

    Args:
        inferencer: to predict with.
        given: one or several paths of photos and folders.
        out: output folder, see ``docs/prediction.md``.
        outputs: some of ``OUTPUTS``.
        rle: whether ``predictions.json`` contains the masks as run lengths.
        batch_size: photos per batch.
        num_workers: processes that load photos.

    Raises:
        LussError: if there are no photos, no photo can be predicted, or ``out`` is in a folder of
            photos, contains anything but predictions of these photos, or is locked.
    """
    unknown = [output for output in outputs if output not in OUTPUTS]
    if unknown:
        raise LussError(f"the output {unknown[0]!r} is unknown, expected: {', '.join(OUTPUTS)}")
    check_loading(batch_size, num_workers)
    given = as_paths(given)
    out = output_folder(out, "--out")
    _require_outside_photos(out, given)
    photos, rejected = name_outputs(find_given(given))
    _require_any(photos, rejected)
    folder = PredictionFolder(out, inferencer.categories, tuple(outputs), rle)
    folder.check_contents()
    with lock_folder(out, "--out"):
        folder.begin(
            {
                "checkpoint": checkpoint_digest(inferencer.run.checkpoint),
                "upright": inferencer.upright,
                "refiner": inferencer.run.model.get("refiner"),
            },
            given,
        )
        pending = [photo for photo in photos if not folder.is_done(photo)]
        if len(pending) < len(photos):
            print_log(f"{len(photos) - len(pending)} photos were predicted before", "current")
        failed = _predict(inferencer, photos, pending, folder, batch_size, num_workers)
        without = {photo for photo, _ in failed}
        unreadable = [*rejected, *failed]
        _require_any([photo for photo in photos if photo not in without], unreadable)
        folder.finish(photos, unreadable)
    _warn_unreadable(unreadable)
    predicted = len(pending) - len(failed)
    return PredictedPhotos(predicted, len(photos) - len(pending), unreadable)


def _predict(
    inferencer: LUSSInferencer,
    photos: Sequence[GivenPhoto],
    pending: Collection[GivenPhoto],
    folder: PredictionFolder,
    batch_size: int,
    num_workers: int,
) -> list[tuple[GivenPhoto, str]]:
    """Write the outputs of pending photos, and return those that failed, with the reasons."""
    pending = set(pending)
    # Keep each photo's batch as in a complete run: the last bits of results depend on it.
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
            unreadable.append((photo, f"{reason}; choose an --out with a shorter path"))
    return unreadable


def _require_any(
    photos: Sequence[GivenPhoto], unreadable: Sequence[tuple[GivenPhoto, str]]
) -> None:
    if not photos:
        raise LussError(
            f"no photo can be predicted ({len(unreadable)} given); the first error: "
            f"{unreadable[0][1]}"
        )


def _require_outside_photos(out: Path, given: Sequence[str | os.PathLike]) -> None:
    """Check that outputs will not be found as photos the next time."""
    for entry in map(Path, given):
        folder = entry.expanduser().resolve()
        if folder.is_dir() and (out.resolve() == folder or folder in out.resolve().parents):
            raise LussError(
                f"--out {out} is inside the photos {entry}, so outputs would be found as photos; "
                "choose a folder outside"
            )


def _warn_unreadable(unreadable: Sequence[tuple[GivenPhoto, str]]) -> None:
    if unreadable:
        names = [photo.name for photo, _ in unreadable]
        print_log(
            f"{len(names)} photos cannot be predicted and were skipped: {shorten(names)}; see "
            "predictions.json for the reasons",
            "current",
            logging.WARNING,
        )
