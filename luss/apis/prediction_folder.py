"""The files of predictions: written photo by photo, and put together at the end.

A photo is done once its record is there, which is written last. What is held in memory is one
photo's; records are read one after the other for the files over all photos.
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
from luss.apis.photos import Photo
from luss.datasets.coco_rle import encode_rle
from luss.datasets.mask_codec import write_mask
from luss.datasets.photo_listing import printable, shorten
from luss.errors import LussError
from luss.files import atomic_write, file_digest, read_json, remove_unfinished, write_json
from luss.folder_lock import LOCK

__all__ = ["OUTPUTS", "PredictionFolder"]

OUTPUTS = ("masks", "indexed", "overlays", "cutouts")
"""Kinds of pictures, each in a folder of its name."""

_SETTINGS = "settings.json"
_RECORDS = "records"
_LARGEST_INDEX = 255
_QUALITY = 90
_SMALLEST_CUTOUT = 0.01
"""Of the photo; what is smaller is not cut out."""

_DIGITS = 6
_NOT_LISTED = ("sha256", "pictures")
"""Keys of records that ``predictions.json`` does not have."""

_CSV = ("photo", "category", "name", "area", "score")


@dataclass(frozen=True)
class PredictionFolder:
    """A folder of predictions.

    Attributes:
        root: the folder.
        categories: which ids are written.
        outputs: some of ``OUTPUTS``.
        rle: whether records hold the mask of each category as run lengths.
    """

    root: Path
    categories: WrittenCategories
    outputs: tuple[str, ...] = OUTPUTS
    rle: bool = False

    def begin(self, model: dict[str, Any], photos: Sequence[str | os.PathLike]) -> None:
        """Make the folder, or find it as it was begun.

        Args:
            model: what predicts; plain values.
            photos: the paths of files and folders that were given.

        Raises:
            LussError: if the folder was begun otherwise, or holds anything else.
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
        self.refuse_if_foreign()
        path = self.root / _SETTINGS
        if path.exists():
            found = self._begun(path)
            other = [key for key in settings if found.get(key) != settings[key]]
            if other == ["photos"]:
                before = found.get("photos")
                listed = f" ({shorten(before)})" if isinstance(before, list) else ""
                raise LussError(
                    f"{self.root} holds predictions of other photos{listed} than {shorten(paths)}; "
                    "choose another --out, or give the same photos and folders"
                )
            if other:
                raise LussError(
                    f"{self.root} holds predictions made otherwise (not the same: "
                    f"{', '.join(other)}); choose another --out, or remove that folder"
                )
            remove_unfinished(self.root)
            return
        write_json(path, settings)

    def refuse_if_foreign(self) -> None:
        """Refuse a folder that something else lies in, before anything is written into it.

        Raises:
            LussError: if it holds neither predictions nor nothing.
        """
        if not self.root.exists() or (self.root / _SETTINGS).exists():
            return
        if not self.root.is_dir() or any(entry.name != LOCK for entry in self.root.iterdir()):
            raise LussError(
                f"{self.root} holds something else than predictions; choose another --out"
            )

    def _begun(self, path: Path) -> dict[str, Any]:
        try:
            return read_json(path)
        except LussError as error:
            raise LussError(f"{error}; remove {self.root}, or choose another --out") from error

    def is_done(self, photo: Photo) -> bool:
        """Return whether all outputs of a photo exist, made of a file of the same content.

        A photo whose record is damaged is not done.
        """
        record = self._read_record(photo)
        return (
            record is not None
            and record["sha256"] == file_digest(photo.path)
            and all((self.root / picture).is_file() for picture in record["pictures"])
        )

    def _read_record(self, photo: Photo) -> dict[str, Any] | None:
        """Return what is noted of a photo that was predicted; None if nothing sound is."""
        try:
            record = read_json(self._record(photo))
            _row(record)
            pictures = [str(picture) for picture in record["pictures"]]
            return {**record, "sha256": str(record["sha256"]), "pictures": pictures}
        except (LussError, KeyError, TypeError, IndexError):
            return None

    def add(
        self,
        photo: Photo,
        pixels: NDArray[np.uint8] | None,
        ids: NDArray[np.uint16],
        found: Sequence[FoundCategory],
    ) -> None:
        """Write the outputs of a photo, its record last.

        Args:
            photo: which one.
            pixels: (H, W, 3) uint8 RGB; None if :attr:`needs_pixels` is false.
            ids: (H, W), as they are written.
            found: the categories in it, the largest first.
        """
        pictures = []
        if "masks" in self.outputs:
            pictures.append(self._picture("masks", photo))
            write_mask(pictures[-1], ids)
        if "indexed" in self.outputs:
            pictures.append(self._picture("indexed", photo))
            self._write_indexed(pictures[-1], photo, ids)
        if "overlays" in self.outputs:
            picture = Image.fromarray(overlay_of(pixels, ids, self.categories))
            pictures.append(self._picture("overlays", photo, ".jpg"))
            with atomic_write(pictures[-1]) as file:
                # Full resolution of colour, which thin regions need.
                picture.save(file, "JPEG", quality=_QUALITY, subsampling=0)
        if "cutouts" in self.outputs:
            # Those of a file that was there before may be of other categories.
            for old in self._cutouts(photo).glob("*.png"):
                # Folders are of photos in a folder that is called as this photo is.
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

    def finish(self, photos: Sequence[Photo], unreadable: Sequence[tuple[Photo, str]]) -> None:
        """Write ``predictions.json`` and ``categories.csv`` of all photos, from their records.

        Args:
            photos: all of them, in order.
            unreadable: those that cannot be read, and why.
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

    def _records(self, photos: Sequence[Photo]) -> Iterator[dict[str, Any]]:
        for photo in photos:
            record = read_json(self._record(photo))
            yield {key: value for key, value in record.items() if key not in _NOT_LISTED}

    def _picture(self, output: str, photo: Photo, suffix: str = ".png") -> Path:
        return self.root / output / f"{photo.image_id}{suffix}"

    def _cutouts(self, photo: Photo) -> Path:
        return self.root / "cutouts" / photo.image_id

    def _record(self, photo: Photo) -> Path:
        return self.root / _RECORDS / f"{photo.image_id}.json"

    def _write_indexed(self, path: Path, photo: Photo, ids: NDArray[np.uint16]) -> None:
        """A PNG with a palette: its indices are the ids where these fit into a byte."""
        colours = self.categories.colours
        if self.categories.used[-1] <= _LARGEST_INDEX:
            indices, palette = ids.astype(np.uint8), colours[: self.categories.used[-1] + 1]
        else:
            present = np.flatnonzero(np.bincount(ids.ravel()))
            if len(present) > _LARGEST_INDEX + 1:
                raise LussError(
                    f"{photo.path} has {len(present)} categories, more than a palette of 256 "
                    "colours holds; leave 'indexed' out of the outputs"
                )
            place = np.zeros(present[-1] + 1, np.uint8)
            place[present] = np.arange(len(present))
            indices, palette = place[ids], colours[present]
        picture = Image.fromarray(indices)
        picture.putpalette(palette.tobytes())
        with atomic_write(path) as file:
            picture.save(file, "PNG")


def _write_cutout(path: Path, pixels: NDArray[np.uint8], inside: NDArray[np.bool_]) -> None:
    """Write the pixels of a category, all else transparent, cut to the rectangle around them."""
    left, top, width, height = cv2.boundingRect(inside.view(np.uint8))
    window = np.s_[top : top + height, left : left + width]
    opaque = 255 * inside[window].view(np.uint8)
    cutout = np.dstack((pixels[window] * inside[window][..., None], opaque))
    with atomic_write(path) as file:
        Image.fromarray(cutout).save(file, "PNG")


def _write_list(file: BinaryIO, entries: Iterable[dict[str, Any]]) -> None:
    """Write the entries of a JSON list, a line each."""
    for place, entry in enumerate(entries):
        content = json.dumps(entry, ensure_ascii=False, allow_nan=False)
        file.write(b",\n  " if place else b"\n  ")
        file.write(content.encode())
    file.write(b"\n")


def _row(record: dict[str, Any]) -> list[Any]:
    """A row of ``categories.csv``: a photo and its largest category, empty where it has none."""
    if not record["categories"]:
        return [record["photo"], "", "", "", ""]
    main = record["categories"][0]
    return [record["photo"], main["id"], main["name"], main["area"], main["score"]]
