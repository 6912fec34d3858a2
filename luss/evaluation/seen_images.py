"""Which images each of several ranks has evaluated, so that each counts once."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmengine.dist import all_gather_object, get_rank

from luss.errors import LussError

__all__ = ["SeenImages"]

_IDENTITIES = ("sample_idx", "image_id", "img_path")


@dataclass
class SeenImages:
    """The images of this rank.

    Attributes:
        facts: identity of each image -> what is kept of it, in the order of evaluation.
        unnamed: images without identity.
    """

    facts: dict[Hashable, Any] = field(default_factory=dict)
    unnamed: int = 0

    def is_new(self, sample: Mapping[str, Any], facts: Any = None) -> bool:
        """Note an image; False if it was noted before.

        Args:
            sample: with an identity (``sample_idx``, ``image_id``, ``img_path``), or none.
            facts: to keep.
        """
        # Joined data sets may share indices, but then differ in paths.
        identity = tuple(sample[key] for key in _IDENTITIES if key in sample)
        if not identity:
            self.unnamed += 1
        elif identity in self.facts:
            return False
        else:
            self.facts[identity] = facts
        return True

    def last_is_repeated(self, size: int) -> bool:
        """Whether this rank's last image counts for another rank, as samplers repeat at most one.

        Called by all ranks together.

        Args:
            size: number of images of the data set.

        Raises:
            LussError: on all ranks, if they have evaluated another number of images, others than
                the last of a rank twice, or one cannot tell which.
        """
        ranks = all_gather_object((list(self.facts), self.unnamed))
        seen = [of_rank for of_rank, _ in ranks]
        unnamed = sum(of_rank for _, of_rank in ranks)
        if unnamed and len(ranks) > 1:
            raise LussError(
                f"{unnamed} images came without {' or '.join(_IDENTITIES)}, so that images which "
                "the sampler repeats cannot be told: add one to the meta_keys of the pipeline"
            )
        counted = len({identity for of_rank in seen for identity in of_rank}) + unnamed
        if counted != size:
            raise LussError(f"{counted} images were evaluated, but the data set has {size}")
        repeated = sum(map(len, seen)) + unnamed - counted
        droppable = [_last_is_repeated(seen, rank) for rank in range(len(ranks))]
        if repeated > sum(droppable):
            raise LussError(
                f"{repeated} images were evaluated by several ranks, expected the last of a rank "
                "at most; use MMEngine's DefaultSampler with shuffle=False"
            )
        return droppable[get_rank()]


def _last_is_repeated(seen: Sequence[list], rank: int) -> bool:
    if not seen[rank]:
        return False
    last = seen[rank][-1]
    return any(
        last in (others if other < rank else others[:-1])
        for other, others in enumerate(seen)
        if other != rank
    )
