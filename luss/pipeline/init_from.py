"""Whether a part of one stage's model can start from that of another."""

from collections.abc import Iterable, Mapping

import torch

from luss.errors import LussError

__all__ = ["refuse_other_tensors"]


def refuse_other_tensors(
    source: Mapping[str, torch.Size], target: Mapping[str, torch.Size], what: str, origin: str
) -> None:
    """Compare two states by name and shape.

    Args:
        source: shapes by name where the weights come from.
        target: shapes by name where they go.
        what: is to be filled, for the message.
        origin: of the weights, for the message.

    Raises:
        LussError: if a name is on one side alone, or a shape differs.
    """
    if not source or source.keys() != target.keys():
        raise LussError(
            f"{what} cannot start from {origin}: only there: "
            f"{_first(source.keys() - target.keys())}; only here: "
            f"{_first(target.keys() - source.keys())}; both configs must describe the same "
            "modules (ConvNeXt and Swin have norms for each of their out_indices: give all stages "
            "the same ones)"
        )
    for name in sorted(source):
        if source[name] != target[name]:
            raise LussError(
                f"{what} cannot start from {origin}: {name} has shape {tuple(source[name])} there "
                f"and {tuple(target[name])} here; both configs must have the same widths"
            )


def _first(names: Iterable[str]) -> str:
    names = sorted(names)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more or "none"
