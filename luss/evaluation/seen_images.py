"""Images that each rank has evaluated, so that each image counts once."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmengine.dist import all_gather_object, get_rank

from luss.errors import LussError

__all__ = ["SeenImages"]

_IDENTITIES = ("sample_idx", "image_id", "img_path")


@dataclass
class SeenImages:
    """Images that this rank has evaluated.

    Attributes:
        identities: of the images, in the order of evaluation.
        unnamed: images without identity.
    """

    identities: dict[Hashable, None] = field(default_factory=dict)
    unnamed: int = 0

    def is_new(self, sample: Mapping[str, Any]) -> bool:
        """Record an image, and return whether it is new.

        Args:
            sample: with an identity (``sample_idx``, ``image_id``, ``img_path``), or none.
        """
        # Concatenated data sets may share indices, but not paths.
        identity = tuple(sample[key] for key in _IDENTITIES if key in sample)
        if not identity:
            self.unnamed += 1
        elif identity in self.identities:
            return False
        else:
            self.identities[identity] = None
        return True

    def last_is_repeated(self, size: int) -> bool:
        """Return whether another rank counts this rank's last image; samplers repeat at most one.

        Must be called on all ranks.

        Args:
            size: number of images of the data set.

        Raises:
            LussError: on all ranks, if the number of images differs, images other than the last of
                a rank were evaluated twice, or images have no identity.
        """
        ranks = all_gather_object((list(self.identities), self.unnamed))
        seen = [of_rank for of_rank, _ in ranks]
        unnamed = sum(of_rank for _, of_rank in ranks)
        if unnamed and len(ranks) > 1:
            raise LussError(
                f"{unnamed} images have none of {', '.join(_IDENTITIES)}, so repetitions cannot be "
                "detected. Add one of them to the meta_keys of the pipeline"
            )
        counted = len({identity for of_rank in seen for identity in of_rank}) + unnamed
        if counted != size:
            raise LussError(
                f"{counted} images were evaluated, but the data set has {size}. Use MMEngine's "
                "DefaultSampler with shuffle=False"
            )
        repeated = sum(map(len, seen)) + unnamed - counted
        droppable = [_last_is_repeated(seen, rank) for rank in range(len(ranks))]
        if repeated > sum(droppable):
            raise LussError(
                f"{repeated} images were evaluated by several ranks, expected at most the last of "
                "each rank. Use MMEngine's DefaultSampler with shuffle=False"
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
