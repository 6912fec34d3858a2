"""Where the match of generated to true ids comes from: a file, or a matcher that finds it."""

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
    """A match that is given, or found on the images that are evaluated; one of the two.

    Args:
        match: true id of each generated id, as (G+1,) array or an official ``match.json``.
        matcher: config of one of ``MATCHERS``.
        match_file: with ``matcher``, where to write the match that was found.
        joined: with ``matcher``, the (G+1,) ids that generated ids become before a match is found,
            as people merge and drop categories (``CategoryNames.kept``).

    Raises:
        LussError: if both or none are given, or there is a file to write or ids are joined, but
            there is no matcher.
    """

    def __init__(
        self,
        match: Sequence[int] | np.ndarray | str | os.PathLike | None = None,
        matcher: Mapping[str, Any] | None = None,
        match_file: str | os.PathLike | None = None,
        joined: Sequence[int] | np.ndarray | None = None,
    ) -> None:
        if (match is None) == (matcher is None):
            raise LussError("SegmentationMetric takes a match or a matcher, not both, nor none")
        if matcher is None and (match_file is not None or joined is not None):
            raise LussError("match_file and joined need a matcher in SegmentationMetric")
        self.match = match
        self.matcher = None if matcher is None else MATCHERS.build(dict(matcher))
        self.match_file = match_file
        self.joined = None if joined is None else np.asarray(joined, np.int64)

    def given(self, num_classes: int) -> np.ndarray | None:
        """The (G+1,) match that is given; None if it is to be found.

        Args:
            num_classes: C; true ids above it are refused.

        Raises:
            LussError: if its file is missing or holds something else.
        """
        if self.match is None:
            return None
        if isinstance(self.match, str | os.PathLike):
            return read_match(self.match, num_classes)
        return np.asarray(self.match, np.int64)

    def of(self, counts: Counts) -> np.ndarray:
        """The match for images that were counted. Called by all ranks together.

        Args:
            counts: over generated ids, of all ranks; over joined ones where ids are joined.

        Returns:
            (G+1,) true ids; generated ids that a given match does not name are 'other'.

        Raises:
            LussError: if a given match names more generated ids than there are.
        """
        match = self.given(counts.num_classes)
        if match is None:
            match = main_process_decides(self.matcher(counts))
            if self.joined is not None:
                match = match[self.joined]
            with fail_together():
                if self.match_file is not None and is_main_process():
                    write_match(self.match_file, match)
            return match
        absent = counts.num_generated + 1 - len(match)
        if absent < 0:
            name = self.match if isinstance(self.match, str | os.PathLike) else "the match"
            raise LussError(
                f"{name} names {len(match) - 1} generated categories, but the model has "
                f"{counts.num_generated}; give the match.json that belongs to it"
            )
        return np.pad(match, (0, absent))
