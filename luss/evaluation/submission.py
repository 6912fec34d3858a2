"""Zip files for ImageNet-S's online server.

The root contains ``<wnid>/<image>.png`` in the official encoding, ``method.txt``, and, for
generated ids, ``match.json``.
"""

import os
import re
import zipfile
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from luss.datasets.image_io import IMAGE_SUFFIXES
from luss.datasets.mask_archive import LARGEST_FILE, read_entry
from luss.datasets.mask_codec import encode_mask, parse_mask
from luss.errors import LussError, Problems
from luss.evaluation.counts import check_numbers
from luss.evaluation.folders import list_masks, read_ids
from luss.evaluation.matching import parse_match, read_match
from luss.files import atomic_write, is_system_name

__all__ = ["FIELDS", "SCHEMES", "Method", "check_submission", "list_images", "write_submission"]

FIELDS = (
    "Method name",
    "Training data",
    "Training scheme",
    "Networks",
    "Paper/Project link",
    "Method description",
)
"""Fields of ``method.txt``, each on a line with a colon and a text."""

SCHEMES = ("SSL", "Sup", "SSL+Sup")
"""Training schemes: self-supervised, supervised, both."""

_ENTRY = re.compile(r"[^/\\]+/[^/\\]+\.png")
_HEADER = 26
_LARGEST_DOCUMENT = 1 << 24
_RGB_8_BIT = bytes([8, 2])


@dataclass(frozen=True)
class Method:
    """Content of ``method.txt``; see `FIELDS`."""

    name: str
    training_data: str
    training_scheme: str
    networks: str
    link: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        if self.training_scheme not in SCHEMES:
            raise LussError(
                f"unknown training scheme {self.training_scheme!r}. Expected one of "
                f"{', '.join(SCHEMES)}"
            )
        for field, text in zip(FIELDS, astuple(self), strict=True):
            if "\n" in text:
                raise LussError(f"{field!r} is {text!r}. Expected a single line")

    def text(self) -> str:
        """Return the content of ``method.txt``."""
        pairs = zip(FIELDS, astuple(self), strict=True)
        return "".join(f"{field}: {text}\n" for field, text in pairs)


def list_images(root: str | os.PathLike) -> dict[str, Path]:
    """Return the photos of a split by '<class folder>/<image>', without suffix, sorted.

    Raises:
        LussError: if there are none.
    """
    files = sorted(Path(root).glob("*/*"))
    images = {
        f"{path.parent.name}/{path.stem}": path
        for path in files
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not is_system_name(path.name)
        and not is_system_name(path.parent.name)
    }
    if not images:
        raise LussError(f"there are no photos in {root}. Expected <class folder>/<image>.JPEG")
    return images


def write_submission(
    out: str | os.PathLike,
    predicted: str | os.PathLike,
    method: Method,
    num_classes: int,
    match: str | os.PathLike | None = None,
    images: str | os.PathLike | None = None,
) -> int:
    """Write the zip atomically.

    Args:
        out: the zip file.
        predicted: folder of predictions in any encoding that `luss.evaluation.folders.read_ids`
            reads; they are written in the official one.
        method: content of ``method.txt``.
        num_classes: C, the largest id without a match.
        match: a ``match.json`` to include; its largest generated id is then allowed.
        images: folder of the split's photos, to check completeness and sizes.

    Returns:
        Number of predictions.

    Raises:
        LussError: with up to ten invalid predictions of each kind, and their number.
    """
    check_numbers(num_classes)
    content = None if match is None else Path(match)
    largest = num_classes if match is None else len(read_match(match, num_classes)) - 1
    problems = Problems()
    masks = list_masks(predicted, problems)
    if not masks:
        raise LussError(f"there are no predictions in {predicted}. Expected <wnid>/<image>.png")
    photos = None if images is None else list_images(images)
    for name, path in masks.items():
        if not _ENTRY.fullmatch(f"{name}.png"):
            problems.add("predictions that are not <wnid>/<image>", str(path))
    _compare_names(masks, photos, problems)
    with atomic_write(out) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("method.txt", method.text())
        if content is not None:
            archive.writestr("match.json", content.read_bytes())
        for name, path in masks.items():
            try:
                ids = read_ids(path)
            except LussError as error:
                problems.add("unreadable predictions", str(error))
                continue
            _check_mask(name, ids, largest, photos, problems)
            if not problems:
                archive.writestr(f"{name}.png", _official_png(path, ids))
        problems.raise_if_any(f"the predictions in {predicted} cannot be submitted")
    return len(masks)


def check_submission(
    path: str | os.PathLike,
    num_classes: int | None = None,
    images: str | os.PathLike | None = None,
) -> int:
    """Check a submission, and return its number of predictions.

    Args:
        path: the zip file.
        num_classes: C, to check ids without a match.
        images: folder of the split's photos, to check completeness and sizes.

    Raises:
        LussError: with up to ten files of each kind of problem, and their number.
    """
    if num_classes is not None:
        check_numbers(num_classes)
    problems = Problems()
    photos = None if images is None else list_images(images)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.namelist() if not entry.endswith("/")]
            largest = _check_documents(archive, entries, num_classes, problems)
            masks = {e.removesuffix(".png"): e for e in entries if _ENTRY.fullmatch(e)}
            _check_layout(entries, masks, problems)
            _compare_names(masks, photos, problems)
            for name, entry in masks.items():
                _check_entry(archive, entry, name, largest, photos, problems)
    except (OSError, zipfile.BadZipFile) as error:
        raise LussError(f"cannot read the zip file {path}: {error}. Write it again") from error
    problems.raise_if_any(f"{path} would not be accepted")
    return len(masks)


def _compare_names(
    masks: Mapping[str, object], photos: Mapping[str, Path] | None, problems: Problems
) -> None:
    if photos is None:
        return
    for name in photos.keys() - masks.keys():
        problems.add("missing predictions", f"{name}.png")
    for name in masks.keys() - photos.keys():
        problems.add("extra predictions, without a photo", f"{name}.png")


def _check_mask(
    name: str,
    ids: np.ndarray,
    largest: int | None,
    photos: Mapping[str, Path] | None,
    problems: Problems,
) -> None:
    low, high = ids.min(initial=0), ids.max(initial=0)
    if low < 0 or (largest is not None and high > largest):
        problems.add(
            f"predictions with ids outside 0..{largest}", f"{name}.png: {low if low < 0 else high}"
        )
    if photos is not None and name in photos:
        try:
            with Image.open(photos[name]) as photo:
                expected = photo.height, photo.width
        except Exception as error:  # damaged files raise anything
            problems.add("unreadable photos", f"{photos[name]}: {error}")
            return
        if ids.shape != expected:
            problems.add(
                "wrongly sized predictions (height x width)",
                f"{name}.png: {ids.shape[0]}x{ids.shape[1]} instead of {expected[0]}x{expected[1]}",
            )


def _official_png(path: Path, ids: np.ndarray) -> bytes:
    """Return the mask as RGB PNG; an RGB PNG file is returned unchanged."""
    if path.suffix.lower() == ".png":
        content = path.read_bytes()
        if _is_rgb(content):
            return content
    _, encoded = cv2.imencode(".png", encode_mask(ids)[..., ::-1])
    return encoded.tobytes()


def _is_rgb(content: bytes) -> bool:
    return content[_HEADER - 2 : _HEADER] == _RGB_8_BIT


def _check_layout(entries: list[str], masks: Mapping[str, str], problems: Problems) -> None:
    known = {*masks.values(), "method.txt", "match.json"}
    if not masks:
        problems.add("fault in the layout", "no prediction <wnid>/<image>.png at the zip's root")
    for entry in entries:
        if entry not in known:
            problems.add("unexpected files (zip the content of the folder, not the folder)", entry)
    doubled = len(entries) - len(set(entries))
    if doubled:
        problems.add("fault in the layout", f"{doubled} names occur twice")


def _check_documents(
    archive: zipfile.ZipFile, entries: list[str], num_classes: int | None, problems: Problems
) -> int | None:
    """Check method.txt and match.json; return the largest id that predictions may hold."""
    if "method.txt" in entries:
        try:
            text = _document(archive, "method.txt").decode(errors="replace")
        except LussError as error:
            problems.add("faults in method.txt", str(error))
            text = ""
        lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        for field in FIELDS:
            if field not in lines:
                problems.add("faults in method.txt", f"no line '{field}: ...'")
        scheme = lines.get("Training scheme", SCHEMES[0]).strip()
        if scheme not in SCHEMES:
            problems.add("faults in method.txt", f"Training scheme {scheme!r} is not in {SCHEMES}")
    else:
        problems.add("missing documents", "method.txt, a description of the method")
    if "match.json" not in entries:
        return num_classes
    try:
        return len(parse_match(_document(archive, "match.json"), "match.json", num_classes)) - 1
    except LussError as error:
        problems.add("faults in match.json", str(error))
        return None


def _check_entry(
    archive: zipfile.ZipFile,
    entry: str,
    name: str,
    largest: int | None,
    photos: Mapping[str, Path] | None,
    problems: Problems,
) -> None:
    try:
        content = read_entry(archive, archive.getinfo(entry), LARGEST_FILE)
        if not _is_rgb(content):
            problems.add("predictions that are not 8-bit RGB PNG", entry)
            return
        ids = parse_mask(content, entry)
    except LussError as error:
        problems.add("unreadable predictions", str(error))
        return
    _check_mask(name, ids, largest, photos, problems)


def _document(archive: zipfile.ZipFile, name: str) -> bytes:
    return read_entry(archive, archive.getinfo(name), _LARGEST_DOCUMENT)
