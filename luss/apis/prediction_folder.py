"""Files of predictions: written photo by photo, and summarised at the end.

A photo's record is written last; a photo with a record is done. Memory holds one photo at a time;
the summaries read the records one after the other.
"""

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from luss.apis.categories import WrittenCategories
from luss.apis.found import FoundCategory
from luss.apis.inferencer import overlay_of
from luss.apis.photos import GivenPhoto
from luss.datasets.coco_rle import encode_rle
from luss.datasets.mask_codec import write_mask
from luss.errors import LussError, printable, shorten
from luss.files import atomic_write, file_digest, read_json, remove_unfinished, write_json
from luss.folder_lock import LOCK

__all__ = ["OUTPUTS", "PredictionFolder"]

OUTPUTS = ("masks", "indexed", "overlays", "cutouts")
"""Kinds of pictures, each in its own folder."""

_SETTINGS = "settings.json"
_RECORDS = "records"
_LARGEST_INDEX = 255
_QUALITY = 90
_SMALLEST_CUTOUT = 0.01
"""Smallest fraction of the photo that is cut out."""

_DIGITS = 6
_NOT_LISTED = ("sha256", "pictures")
"""Keys of records that ``predictions.json`` does not contain."""

_CSV = ("photo", "category", "name", "area", "score")


@dataclass(frozen=True)
class PredictionFolder:
    """A folder of predictions.

    Attributes:
        root: the folder.
        categories: the written ids.
        outputs: some of ``OUTPUTS``.
        rle: whether records contain the mask of each category as run lengths.
    """

    root: Path
    categories: WrittenCategories
    outputs: tuple[str, ...] = OUTPUTS
    rle: bool = False

    def begin(self, model: dict[str, Any], photos: Sequence[str | os.PathLike]) -> None:
        """Create the folder, or check that it contains predictions with the same settings.

        Args:
            model: identifies the model; plain values.
            photos: the given paths of files and folders.

        Raises:
            LussError: if the settings differ, or the folder contains anything else.
        """
        paths = sorted({printable(str(Path(path).expanduser().resolve())) for path in photos})
        settings = {
            "model": model,
            "categories": self.categories.kind,
            "ids": self.categories.ids.tolist(),
            "names": [self.categories.legend.name(index) for index in self.categories.used],
            "outputs": list(self.outputs),
            "rle": self.rle,
            "photos": paths,
        }
        # As they are read again: with lists in place of tuples.
        settings = json.loads(json.dumps(settings))
        self.check_contents()
        path = self.root / _SETTINGS
        if path.exists():
            found = self._read_settings(path)
            other = [key for key in settings if found.get(key) != settings[key]]
            if other == ["photos"]:
                before = found.get("photos")
                listed = f" ({shorten(before)})" if isinstance(before, list) else ""
                raise LussError(
                    f"{self.root} contains predictions of other photos{listed} than "
                    f"{shorten(paths)}; choose another --out, or give the same photos and folders"
                )
            if other:
                raise LussError(
                    f"{self.root} contains predictions with other settings: {', '.join(other)}; "
                    "choose another --out, or delete that folder"
                )
            remove_unfinished(self.root)
            return
        write_json(path, settings)

    def check_contents(self) -> None:
        """Check that the folder is missing, empty, or contains predictions.

        Raises:
            LussError: if it contains anything else.
        """
        if not self.root.exists() or (self.root / _SETTINGS).exists():
            return
        if not self.root.is_dir() or any(entry.name != LOCK for entry in self.root.iterdir()):
            raise LussError(
                f"{self.root} is not empty and contains no predictions; choose another --out"
            )

    def _read_settings(self, path: Path) -> dict[str, Any]:
        try:
            return read_json(path)
        except LussError as error:
            raise LussError(f"{error}; delete {self.root}, or choose another --out") from error

    def is_done(self, photo: GivenPhoto) -> bool:
        """Return whether all outputs of a photo exist and its file has not changed.

        A photo with a damaged record is not done.
        """
        record = self._read_record(photo)
        return (
            record is not None
            and record["sha256"] == file_digest(photo.path)
            and all((self.root / picture).is_file() for picture in record["pictures"])
        )

    def _read_record(self, photo: GivenPhoto) -> dict[str, Any] | None:
        """Return the record of a photo; None if it is missing or damaged."""
        try:
            record = read_json(self._record(photo))
            _row(record)
            pictures = [str(picture) for picture in record["pictures"]]
            return {**record, "sha256": str(record["sha256"]), "pictures": pictures}
        except (LussError, KeyError, TypeError, IndexError):
            return None

    def add(
        self,
        photo: GivenPhoto,
        pixels: NDArray[np.uint8] | None,
        ids: NDArray[np.uint16],
        found: Sequence[FoundCategory],
    ) -> None:
        """Write the outputs of a photo, its record last.

        Args:
            photo: of the outputs.
            pixels: (H, W, 3) uint8 RGB; may be None if :attr:`needs_pixels` is false.
            ids: (H, W), the written ids.
            found: the categories in the photo, the largest first.
        """
        pictures = []
        if "masks" in self.outputs:
            pictures.append(self._picture("masks", photo))
            write_mask(pictures[-1], ids)
        if "indexed" in self.outputs:
            pictures.append(self._picture("indexed", photo))
            self._write_indexed(pictures[-1], photo, ids)
        if "overlays" in self.outputs:
            assert pixels is not None
            picture = Image.fromarray(overlay_of(pixels, ids, self.categories))
            pictures.append(self._picture("overlays", photo, ".jpg"))
            with atomic_write(pictures[-1]) as file:
                # No chroma subsampling, which blurs thin regions.
                picture.save(file, "JPEG", quality=_QUALITY, subsampling=0)
        if "cutouts" in self.outputs:
            assert pixels is not None
            # An earlier version of the photo may have had other categories.
            for old in self._cutouts(photo).glob("*.png"):
                # A folder of this name contains cutouts of other photos.
                if old.is_file():
                    old.unlink()
            for category in found:
                if category.area >= _SMALLEST_CUTOUT:
                    pictures.append(self._cutouts(photo) / f"{category.id}.png")
                    _write_cutout(pictures[-1], pixels, ids == category.id)
        write_json(
            self._record(photo),
            {
                "sha256": file_digest(photo.path),
                "photo": photo.name,
                "image_id": photo.image_id,
                "height": ids.shape[0],
                "width": ids.shape[1],
                "categories": [self._described(category, ids) for category in found],
                "pictures": [str(path.relative_to(self.root)) for path in pictures],
            },
        )

    def _described(self, category: FoundCategory, ids: NDArray[np.uint16]) -> dict[str, Any]:
        described = {
            "id": category.id,
            "name": category.name,
            "area": round(category.area, _DIGITS),
            "score": round(category.score, _DIGITS),
        }
        return described | ({"rle": encode_rle(ids == category.id)} if self.rle else {})

    @property
    def needs_pixels(self) -> bool:
        """Whether the outputs show the photo."""
        return "overlays" in self.outputs or "cutouts" in self.outputs

    def finish(
        self, photos: Sequence[GivenPhoto], unreadable: Sequence[tuple[GivenPhoto, str]]
    ) -> None:
        """Write ``predictions.json`` and ``categories.csv`` of all photos, from their records.

        Args:
            photos: all photos, in order.
            unreadable: photos that cannot be predicted, with the reason.
        """
        without = {photo.image_id for photo, _ in unreadable}
        readable = [photo for photo in photos if photo.image_id not in without]
        colours = self.categories.colours
        described = (
            {
                "id": index,
                "name": self.categories.legend.name(index),
                "colour": colours[index].tolist(),
            }
            for index in self.categories.used
        )
        reasons = (
            {"photo": printable(photo.name), "reason": reason} for photo, reason in unreadable
        )
        with atomic_write(self.root / "predictions.json") as file:
            file.write(b'{\n"categories": [')
            _write_list(file, described)
            file.write(b'],\n"unreadable": [')
            _write_list(file, reasons)
            file.write(b'],\n"photos": [')
            _write_list(file, self._records(readable))
            file.write(b"]\n}\n")
        with atomic_write(self.root / "categories.csv") as file:
            text = io.TextIOWrapper(file, encoding="utf-8", newline="")
            rows = csv.writer(text)
            rows.writerow(_CSV)
            for record in self._records(readable):
                rows.writerow(_row(record))
            text.flush()
            text.detach()

    def _records(self, photos: Sequence[GivenPhoto]) -> Iterator[dict[str, Any]]:
        for photo in photos:
            record = read_json(self._record(photo))
            yield {key: value for key, value in record.items() if key not in _NOT_LISTED}

    def _picture(self, output: str, photo: GivenPhoto, suffix: str = ".png") -> Path:
        return self.root / output / f"{photo.image_id}{suffix}"

    def _cutouts(self, photo: GivenPhoto) -> Path:
        return self.root / "cutouts" / photo.image_id

    def _record(self, photo: GivenPhoto) -> Path:
        return self.root / _RECORDS / f"{photo.image_id}.json"

    def _write_indexed(self, path: Path, photo: GivenPhoto, ids: NDArray[np.uint16]) -> None:
        """Write a PNG with a palette; its indices are the ids if they fit into a byte."""
        colours = self.categories.colours
        if self.categories.used[-1] <= _LARGEST_INDEX:
            indices, palette = ids.astype(np.uint8), colours[: self.categories.used[-1] + 1]
        else:
            present = np.flatnonzero(np.bincount(ids.ravel()))
            if len(present) > _LARGEST_INDEX + 1:
                raise LussError(
                    f"{photo.path} has {len(present)} categories, more than the 256 colours of a "
                    "palette; remove 'indexed' from --outputs"
                )
            place = np.zeros(present[-1] + 1, np.uint8)
            place[present] = np.arange(len(present))
            indices, palette = place[ids], colours[present]
        picture = Image.fromarray(indices)
        picture.putpalette(palette.tobytes())
        with atomic_write(path) as file:
            picture.save(file, "PNG")


def _write_cutout(path: Path, pixels: NDArray[np.uint8], inside: NDArray[np.bool_]) -> None:
    """Write the bounding box of a category's pixels, with other pixels transparent."""
    left, top, width, height = cv2.boundingRect(inside.view(np.uint8))
    window = np.s_[top : top + height, left : left + width]
    opaque = 255 * inside[window].view(np.uint8)
    cutout = np.dstack((pixels[window] * inside[window][..., None], opaque))
    with atomic_write(path) as file:
        Image.fromarray(cutout).save(file, "PNG")


def _write_list(file: BinaryIO, entries: Iterable[dict[str, Any]]) -> None:
    """Write the entries of a JSON list, one per line."""
    for place, entry in enumerate(entries):
        content = json.dumps(entry, ensure_ascii=False, allow_nan=False)
        file.write(b",\n  " if place else b"\n  ")
        file.write(content.encode())
    file.write(b"\n")


def _row(record: dict[str, Any]) -> list[Any]:
    """Return a row of ``categories.csv``: a photo and its largest category, if any."""
    if not record["categories"]:
        return [record["photo"], "", "", "", ""]
    main = record["categories"][0]
    return [record["photo"], main["id"], main["name"], main["area"], main["score"]]
