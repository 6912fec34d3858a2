"""Sources of a match of generated to true ids: a file, or a matcher."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.dist import is_main_process

from luss.errors import LussError
from luss.evaluation.counts import Counts
from luss.evaluation.matching import read_match, write_match
from luss.ranks import fail_together, main_process_decides
from luss.registry import MATCHERS

__all__ = ["MatchSource"]


class MatchSource:
    """A given match, or a matcher that finds it on the evaluated images.

    Args:
        match: true id of each generated id, as (G+1,) array or an official ``match.json``.
        matcher: config of one of ``MATCHERS``.
        match_file: with ``matcher``, file to write the match to.
        joined: with ``matcher``, (G+1,) new ids of generated ids, applied before matching, such as
            merged and dropped categories (``CategoryNames.kept``).

    Raises:
        LussError: unless exactly one of match and matcher is given, or if ``match_file`` or
            ``joined`` is given without matcher.
    """

    def __init__(
        self,
        match: Sequence[int] | np.ndarray | str | os.PathLike | None = None,
        matcher: Mapping[str, Any] | None = None,
        match_file: str | os.PathLike | None = None,
        joined: Sequence[int] | np.ndarray | None = None,
    ) -> None:
        if (match is None) == (matcher is None):
            raise LussError("SegmentationMetric needs either match or matcher. Set one of them")
        if matcher is None and (match_file is not None or joined is not None):
            raise LussError("match_file and joined need a matcher in SegmentationMetric. Set it")
        self.match = match
        self.matcher = None if matcher is None else MATCHERS.build(dict(matcher))
        self.match_file = match_file
        self.joined = None if joined is None else np.asarray(joined, np.int64)

    def given(self, num_classes: int) -> np.ndarray | None:
        """Return the given (G+1,) match; None with a matcher.

        Args:
            num_classes: C; larger true ids are rejected.

        Raises:
            LussError: if its file is missing or invalid.
        """
        if self.match is None:
            return None
        if isinstance(self.match, str | os.PathLike):
            return read_match(self.match, num_classes)
        return np.asarray(self.match, np.int64)

    def of(self, counts: Counts) -> np.ndarray:
        """Return the match for counted images; must be called on all ranks.

        Args:
            counts: of all ranks, over generated ids, or over joined ids with ``joined``.

        Returns:
            (G+1,) true ids; generated ids that a given match lacks are 'other'.

        Raises:
            LussError: if a given match contains more generated ids than the model.
        """
        match = self.given(counts.num_classes)
        if match is None:
            assert self.matcher is not None  # checked by __init__
            match = np.asarray(main_process_decides(self.matcher(counts)))
            if self.joined is not None:
                match = match[self.joined]
            with fail_together():
                if self.match_file is not None and is_main_process():
                    write_match(self.match_file, match)
            return match
        missing = counts.num_generated + 1 - len(match)
        if missing < 0:
            name = self.match if isinstance(self.match, str | os.PathLike) else "the match"
            raise LussError(
                f"{name} has {len(match) - 1} generated categories, but the model has "
                f"{counts.num_generated}. Give the match.json of this model"
            )
        return np.pad(match, (0, missing))
