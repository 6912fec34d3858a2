"""The zip that ImageNet-S's online server takes: written, and checked.

Its root holds ``<wnid>/<image>.png`` in the official encoding, ``method.txt``, and ``match.json``
if the ids are generated ones.
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
from luss.errors import LussError
from luss.evaluation.counts import check_numbers
from luss.evaluation.folders import Problems, list_masks, read_ids
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
"""The lines of ``method.txt``, each followed by a colon and a text."""

SCHEMES = ("SSL", "Sup", "SSL+Sup")
"""Training schemes: self-supervised, supervised, both."""

_ENTRY = re.compile(r"[^/\\]+/[^/\\]+\.png")
_HEADER = 26
_LARGEST_DOCUMENT = 1 << 24
_RGB_8_BIT = bytes([8, 2])


@dataclass(frozen=True)
class Method:
    """What ``method.txt`` says; see `FIELDS`."""

    name: str
    training_data: str
    training_scheme: str
    networks: str
    link: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        if self.training_scheme not in SCHEMES:
            raise LussError(
                f"unknown training scheme {self.training_scheme!r}; known: {', '.join(SCHEMES)}"
            )
        for field, text in zip(FIELDS, astuple(self), strict=True):
            if "\n" in text:
                raise LussError(f"{field!r} must be a single line, found {text!r}")

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
        raise LussError(f"there are no photos <class folder>/<image>.JPEG in {root}")
    return images


def write_submission(
    out: str | os.PathLike,
    predicted: str | os.PathLike,
    method: Method,
    num_classes: int,
    match: str | os.PathLike | None = None,
    images: str | os.PathLike | None = None,
) -> int:
    """Write the zip, whole or not at all.

    Args:
        out: the zip file.
        predicted: folder of predictions, of every encoding that
            `luss.evaluation.folders.read_ids` reads; they are written in the official one.
        method: what ``method.txt`` is to say.
        num_classes: C, the largest id without a match.
        match: a ``match.json`` to put in; ids may then reach its largest.
        images: folder of the split's photos; predictions must be complete and of their sizes.

    Returns:
        Number of predictions.

    Raises:
        LussError: if predictions do not fit; lists up to ten of each kind, and their number.
    """
    check_numbers(num_classes)
    content = None if match is None else Path(match)
    largest = num_classes if match is None else len(read_match(match, num_classes)) - 1
    problems = Problems()
    masks = list_masks(predicted, problems)
    if not masks:
        raise LussError(f"there are no predictions in {predicted}")
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
        problems.refuse(f"the predictions in {predicted} make no submission")
    return len(masks)


def check_submission(
    path: str | os.PathLike,
    num_classes: int | None = None,
    images: str | os.PathLike | None = None,
) -> int:
    """Accept a submission or explain.

    Args:
        path: the zip file.
        num_classes: C, to check ids without a match.
        images: folder of the split's photos, to check completeness and sizes.

    Returns:
        Number of predictions.

    Raises:
        LussError: what is wrong, with up to ten files of each kind, and their number.
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
        raise LussError(f"{path} is no readable zip file: {error}") from error
    problems.refuse(f"{path} would not be accepted")
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
    """Return the mask as RGB PNG: the file itself where it is one already."""
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
            problems.add("files that do not belong (is all of it in one folder too many?)", entry)
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
            problems.add("faults in method.txt", f"Training scheme {scheme!r} is none of {SCHEMES}")
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
            problems.add("predictions that are no RGB PNG of 8 bit", entry)
            return
        ids = parse_mask(content, entry)
    except LussError as error:
        problems.add("unreadable predictions", str(error))
        return
    _check_mask(name, ids, largest, photos, problems)


def _document(archive: zipfile.ZipFile, name: str) -> bytes:
    return read_entry(archive, archive.getinfo(name), _LARGEST_DOCUMENT)
