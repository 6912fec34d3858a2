"""Refinement of predicted ids."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["refine_ids"]


def refine_ids(refiner: nn.Module, photo: Tensor, ids: Tensor) -> Tensor:
    """Move the edges between ids to those of the photo.

    Each pixel gets the id with the largest refined mask. Only masks of ids that occur are refined:
    this changes nothing, since all others are zero everywhere. Memory therefore depends on the
    number of ids in a photo, not on the number of categories.

    Args:
        refiner: maps a photo (3, H, W) uint8 RGB and maps (K, H, W) in [0, 1] to refined maps.
        photo: (3, H', W') uint8 RGB, resized to the ids if larger or smaller.
        ids: (H, W) int64.

    Returns:
        (H, W) int64, a subset of the ids; the lowest on a tie.
    """
    present = ids.unique()
    if len(present) == 1:
        return ids
    if photo.shape[1:] != ids.shape:
        resized = F.interpolate(
            photo[None].float(), size=ids.shape, mode="bilinear", antialias=True
        )
        photo = resized[0].round().to(torch.uint8)
    masks = (ids == present[:, None, None]).float()
    return present[refiner(photo, masks).argmax(dim=0)]
