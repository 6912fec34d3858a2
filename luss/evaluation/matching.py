"""Matching of generated ids to true ids, for unsupervised models (paper, section 3.2.1).

A match is an integer array of G+1 true ids, one for each generated id, with ``match[0] == 0``.
"""

import os
import re
from pathlib import Path

import numpy as np

from luss.errors import LussError
from luss.evaluation.assignment import best_assignment
from luss.evaluation.counts import LARGEST_CLASS, LARGEST_GENERATED, Counts
from luss.files import parse_json, write_json
from luss.registry import MATCHERS

__all__ = [
    "UNMATCHED",
    "ImageLevelMatcher",
    "PixelOverlapMatcher",
    "apply_match",
    "match_ids",
    "parse_match",
    "read_match",
    "write_match",
]

_GENERATED = re.compile(r"0|[1-9][0-9]{0,4}")

UNMATCHED = ("other", "best")
"""Treatments of unmatched generated ids; see `match_ids`."""


def match_ids(
    scores: np.ndarray, unmatched: str = "other", overlap: np.ndarray | None = None
) -> np.ndarray:
    """Return the bijection of generated to true ids that maximises the summed scores.

    The paper does not define which of several optimal matches to use; with ``overlap``, it is one
    with the most shared pixels.

    Nor does it define the treatment of unmatched generated ids when there are more of them than
    true classes. Here they become 'other' (id 0) or, with ``unmatched='best'``, the true id of
    their highest score (of equal scores, that of the largest overlap, then the lowest id; 0 if all
    scores are 0), so several generated ids may share one true id. With fewer generated than true
    classes, some true ids stay unmatched.

    Args:
        scores: (G, C), score of generated id g + 1 for true id c + 1; integers if there is an
            overlap.
        unmatched: 'other' or 'best'.
        overlap: (G, C) integers, pixels that the two share.

    Returns:
        (G+1,) int64 match.
    """
    if unmatched not in UNMATCHED:
        raise LussError(f"unmatched is {unmatched!r}. Expected one of {', '.join(UNMATCHED)}")
    scores = np.asarray(scores)
    if scores.ndim != 2:
        raise LussError(f"scores have the shape {scores.shape}. Expected (generated, true)")
    if overlap is not None and (overlap.shape != scores.shape or scores.dtype.kind not in "iu"):
        raise LussError(
            f"the overlap has the shape {overlap.shape}, the {scores.dtype} scores have "
            f"{scores.shape}. Expected integers of equal shapes"
        )
    match = np.zeros(scores.shape[0] + 1, np.int64)
    if not scores.size:
        return match
    if unmatched == "best":
        highest = scores.max(axis=1, keepdims=True)
        ranked = scores if overlap is None else np.where(scores == highest, overlap + 1, 0)
        match[1:] = np.where(highest[:, 0] > 0, ranked.argmax(axis=1) + 1, 0)
    generated, true = best_assignment(scores, overlap)
    match[generated + 1] = true + 1
    return match


@MATCHERS.register_module()
class ImageLevelMatcher:
    """Matcher by the number of images in which two classes both occur, as defined by ImageNet-S.

    Ignored pixels and 'other' are not counted. Of several optimal matches, one with the most shared
    pixels is used. The match is found on validation and applied to validation and test.

    Args:
        unmatched: treatment of unmatched generated ids, see `match_ids`.
    """

    short_name = "image_level"
    """Name of its results if there are several matchers."""

    def __init__(self, unmatched: str = "other") -> None:
        self.unmatched = unmatched

    def __call__(self, counts: Counts) -> np.ndarray:
        """Return the (G+1,) match for counts over generated ids."""
        return match_ids(counts.cooccurrence[1:, 1:], self.unmatched, counts.overlap)


@MATCHERS.register_module()
class PixelOverlapMatcher:
    """Matcher by the number of pixels that two classes share, without 'other'.

    Args:
        unmatched: treatment of unmatched generated ids, see `match_ids`.
    """

    short_name = "pixel_overlap"

    def __init__(self, unmatched: str = "other") -> None:
        self.unmatched = unmatched

    def __call__(self, counts: Counts) -> np.ndarray:
        """Return the (G+1,) match for counts over generated ids."""
        return match_ids(counts.overlap, self.unmatched)


def apply_match(prediction: np.ndarray, match: np.ndarray) -> np.ndarray:
    """Return the true ids of a prediction.

    Args:
        prediction: (H, W) integer generated ids 0..G.
        match: (G+1,) match.

    Returns:
        (H, W) uint16.

    Raises:
        LussError: if the prediction contains an id that the match lacks.
    """
    if prediction.size and not (prediction.min() >= 0 and prediction.max() < len(match)):
        raise LussError(
            f"the prediction contains ids in {prediction.min()}..{prediction.max()}, but the match "
            f"has the generated ids 0..{len(match) - 1}. Give the match.json of this model"
        )
    return np.take(match.astype(np.uint16), prediction)


def write_match(path: str | os.PathLike, match: np.ndarray) -> None:
    """Write the official ``match.json``: an object of generated id to true id, including 0 to 0."""
    write_json(path, {str(generated): int(true) for generated, true in enumerate(match)})


def read_match(path: str | os.PathLike, num_classes: int | None = None) -> np.ndarray:
    """Read the official ``match.json``.

    Args:
        path: the file.
        num_classes: C; larger true ids are rejected.

    Returns:
        (G+1,) int64 match, G the largest generated id in the file; missing ids become 0.

    Raises:
        LussError: if the file is missing, malformed, or contains an id twice.
    """
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise LussError(f"cannot read the match {path}: {error}") from error
    return parse_match(text, str(path), num_classes)


def parse_match(text: bytes, path: str, num_classes: int | None = None) -> np.ndarray:
    """Parse the content of ``match.json``; ``path`` is for messages. See `read_match`."""
    content = parse_json(text, path)
    expected = f"expected an object such as {{'0': 0, '1': 7}} in {path}"
    if not content:
        raise LussError(f"{expected}, found an empty one")
    limit = LARGEST_CLASS if num_classes is None else num_classes
    match = {}
    for generated, true in content.items():
        if not _GENERATED.fullmatch(generated) or int(generated) > LARGEST_GENERATED:
            raise LussError(
                f"{expected} with generated ids in 0..{LARGEST_GENERATED}, found {generated[:40]!r}"
            )
        if not isinstance(true, int) or isinstance(true, bool) or not 0 <= true <= limit:
            raise LussError(
                f"{expected} with true ids in 0..{limit}, found {generated}: {str(true)[:40]}"
            )
        match[int(generated)] = true
    if match.get(0, 0) != 0:
        raise LussError(f"{path} matches 'other' (0) to {match[0]}. Expected 0")
    array = np.zeros(max(match) + 1, np.int64)
    array[list(match)] = list(match.values())
    return array
