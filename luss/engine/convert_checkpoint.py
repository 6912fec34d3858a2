"""Conversion of checkpoints of the released PASS, torchvision and mmcls to luss and back.

Names of tensors are converted to those of luss, and from them to those of the target. Values do
not change.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from luss.engine.checkpoint import load, save
from luss.errors import LussError, shorten
from luss.files import atomic_write, output_file
from luss.label_generation.given_centroids import read_centroids
from luss.models.backbones.layouts import PASS_PARTS
from luss.models.backbones.picking import tensors_of
from luss.models.backbones.weights import WeightsEntry

__all__ = ["KINDS", "TARGETS", "convert_checkpoint", "from_ours", "resnet_names", "to_ours"]

TARGETS = ("luss", "authors", "torchvision", "mmcls")

_CLUSTERING = ("objectives.clustering.projector.", "objectives.clustering.prototypes.")
_QUEUE = "objectives.clustering.queue"
_RELEASED_QUEUE = 3840
"""Length of the queue of step 2.1, for every split."""
_CLASSIFIER = "head.fc."
"""Prefix of the classifier in mmcls' ResNets; torchvision's is 'fc.'."""


@dataclass(frozen=True)
class _Kind:
    """Tensors of a checkpoint of a step.

    Attributes:
        parts: accepted prefixes of names, besides the backbone's.
        needed: prefix that only this kind has.
    """

    parts: tuple[str, ...]
    needed: str


KINDS: dict[str, _Kind] = {
    "pretrained": _Kind(
        (*_CLUSTERING, _QUEUE, "objectives.d2s.", "objectives.p2p.", _CLASSIFIER), "backbone."
    ),
    "pixel_attention": _Kind((*_CLUSTERING, _QUEUE, "attention."), "attention."),
    "finetuned": _Kind(("decode_head.conv_seg.",), "decode_head.conv_seg."),
}
"""Kinds of checkpoints; centroids are not checkpoints, but can be converted, too."""

_BLOCKS = {
    18: (2, (2, 2, 2, 2)),
    34: (2, (3, 4, 6, 3)),
    50: (3, (3, 4, 6, 3)),
    101: (3, (3, 4, 23, 3)),
    152: (3, (3, 8, 36, 3)),
}
"""Depth of a ResNet -> convolutions per block, blocks of each stage."""
_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
_COUNTER = "num_batches_tracked"


def convert_checkpoint(
    source: str | Path,
    out: str | Path,
    *,
    to: str,
    kind: str,
    queue_length: int | None = None,
    replace: bool = False,
) -> list[str]:
    """Convert a file of one program to that of another.

    Args:
        source: a checkpoint, or for kind ``centroids`` a ``.npy`` or ``.npz``.
        out: the file to write.
        to: one of ``TARGETS``.
        kind: one of ``KINDS``, or ``centroids``.
        queue_length: of the empty queue that is added to pixel attention, since the authors' file
            has none; by default that of their step 2.1.
        replace: whether ``out`` may exist; it may be ``source``.

    Returns:
        Sentences on the tensors found, removed and added.

    Raises:
        LussError: if the file is missing, contains anything but tensors, is of another kind, or
            has unknown or missing names; or if ``out`` cannot be written.
    """
    if to not in TARGETS or kind not in (*KINDS, "centroids"):
        raise LussError(
            f"there is no conversion of kind {kind!r} to {to!r}; kinds are "
            f"{', '.join([*KINDS, 'centroids'])}, targets are {', '.join(TARGETS)}"
        )
    out = output_file(out, "--out", replace)
    if kind == "centroids":
        return _convert_centroids(source, out, to)
    if queue_length is not None and queue_length < 0:
        raise LussError(f"the queue's length is {queue_length}, expected 0 or more")
    length = _RELEASED_QUEUE if queue_length is None else queue_length
    content = load(Path(source).expanduser())
    named, depth = to_ours(tensors_of(content, WeightsEntry(str(source))), kind, str(source))
    converted, notes = from_ours(named, to, kind, length)
    save(out, converted)
    return [f"{source}: {kind}, ResNet-{depth}, {len(named)} tensors", *notes]


def to_ours(tensors: Mapping[str, Tensor], kind: str, path: str) -> tuple[dict[str, Tensor], int]:
    """Rename a checkpoint's tensors to the names of luss.

    Args:
        tensors: with names of any of ``TARGETS``, with or without ``module.``.
        kind: one of ``KINDS``.
        path: of the file, for messages.

    Returns:
        The renamed tensors, and the ResNet's depth.

    Raises:
        LussError: with the unknown or missing names.
    """
    bare = {name.removeprefix("module."): value for name, value in tensors.items()}
    if len(bare) < len(tensors):
        raise LussError(f"{path} has tensors both with and without 'module.' before their names")
    # mmcls' names of a backbone are those of luss; the authors' and torchvision's have no prefix.
    prefixed = any(name.startswith("backbone.") for name in bare)
    named = {name if prefixed else _our_name(name): value for name, value in bare.items()}
    depth = _depth(named)
    expected = {f"backbone.{name}" for name in resnet_names(depth)}
    parts = KINDS[kind].parts
    unknown = [
        theirs
        for theirs, ours in zip(bare, named, strict=True)
        if ours not in expected and not ours.startswith(parts)
    ]
    if unknown:
        raise LussError(
            f"{path} has {len(unknown)} tensors that a ResNet-{depth} of kind {kind!r} does not "
            f"have: {shorten(unknown, 20)}. Choose another --kind"
            f"{_other_kinds(unknown, prefixed)}, or load another network with "
            "weights=dict(file=..., layout=..., rename=...)"
        )
    # Old checkpoints lack these counters, which nothing reads.
    counters = {name for name in expected if name.endswith(_COUNTER)}
    missing = sorted(expected - counters - named.keys())
    if missing:
        raise LussError(
            f"{path} lacks {len(missing)} tensors of a ResNet-{depth}: {shorten(missing, 20)}; the "
            "file is not a complete ResNet of depth 18, 34, 50, 101 or 152"
        )
    needed = KINDS[kind].needed
    if not any(name.startswith(needed) for name in named):
        raise LussError(
            f"{path} is not of kind {kind!r}, since it has no {needed[:-1]!r} "
            f"({_their_name(needed)[:-1]!r} in the released files); choose another --kind "
            f"({', '.join(KINDS)})"
        )
    zero = torch.zeros((), dtype=torch.int64)
    return {**{name: zero.clone() for name in counters - named.keys()}, **named}, depth


def from_ours(
    named: Mapping[str, Tensor], to: str, kind: str, queue_length: int = _RELEASED_QUEUE
) -> tuple[dict, list[str]]:
    """Return a checkpoint in the format of another program.

    Args:
        named: from :func:`to_ours`.
        to: one of ``TARGETS``.
        kind: one of ``KINDS``.
        queue_length: see :func:`convert_checkpoint`.

    Returns:
        The checkpoint, and sentences on the tensors removed and added.
    """
    kept = {name: value for name, value in named.items() if _is_supported(name, to)}
    removed = sorted({_part(name) for name in named.keys() - kept.keys()})
    notes = [f"removed, since {to} does not have it: {', '.join(removed)}"] if removed else []
    if to == "luss":
        prototypes = kept.get("objectives.clustering.prototypes.weight")
        if kind == "pixel_attention" and _QUEUE not in kept and prototypes is not None:
            kept[_QUEUE] = torch.zeros(2, queue_length, prototypes.shape[1])
            notes.append(f"added: an empty queue of {queue_length} embeddings, for two crops")
        return {"state_dict": kept, "meta": {}}, notes
    if to == "mmcls":
        return {"state_dict": kept, "meta": {}}, notes
    theirs = {_their_name(name): value for name, value in kept.items()}
    if to == "torchvision":
        return theirs, notes
    return {"state_dict": {f"module.{name}": value for name, value in theirs.items()}}, notes


def resnet_names(depth: int) -> set[str]:
    """Return the names of all tensors of a ResNet of depth 18, 34, 50, 101 or 152.

    The classifier is not included.
    """
    convolutions, blocks = _BLOCKS[depth]
    names = {"conv1.weight", *(f"bn1.{name}" for name in _NORM)}
    for stage, count in enumerate(blocks, start=1):
        for block in range(count):
            start = f"layer{stage}.{block}"
            for place in range(1, convolutions + 1):
                names.add(f"{start}.conv{place}.weight")
                names.update(f"{start}.bn{place}.{name}" for name in _NORM)
            # Basic blocks of the first stage have the stem's width and need no downsampling.
            if block == 0 and (stage > 1 or convolutions == 3):
                names.add(f"{start}.downsample.0.weight")
                names.update(f"{start}.downsample.1.{name}" for name in _NORM)
    return names


def _our_name(name: str) -> str:
    for theirs, ours in (*PASS_PARTS, ("fc.", _CLASSIFIER)):
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return f"backbone.{name}"


def _their_name(name: str) -> str:
    for theirs, ours in (*PASS_PARTS, ("fc.", _CLASSIFIER)):
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return name.removeprefix("backbone.")


def _is_supported(name: str, program: str) -> bool:
    if name.startswith("backbone."):
        return True
    if program in ("torchvision", "mmcls"):
        return name.startswith(_CLASSIFIER)
    if program == "authors":
        # The authors save the queue to separate files.
        return name.startswith(tuple(ours for _, ours in PASS_PARTS))
    return not name.startswith(_CLASSIFIER)


def _depth(named: Mapping[str, Tensor]) -> int:
    """Return the depth whose names differ least from the given ones."""
    found = {
        name.removeprefix("backbone.")
        for name in named
        if name.startswith("backbone.") and not name.endswith(_COUNTER)
    }

    def difference(depth: int) -> int:
        names = {name for name in resnet_names(depth) if not name.endswith(_COUNTER)}
        return len(names ^ found)

    return min(_BLOCKS, key=difference)


def _part(name: str) -> str:
    """Return the module of a tensor, for messages."""
    parts = name.split(".")
    return ".".join(parts[:3] if parts[0] == "objectives" else parts[:1])


def _other_kinds(unknown: list[str], prefixed: bool) -> str:
    """List the kinds that have all of these names, for a message."""
    names = [name if prefixed else _our_name(name) for name in unknown]
    fitting = [
        kind for kind, spec in KINDS.items() if all(name.startswith(spec.parts) for name in names)
    ]
    return f" ({' or '.join(fitting)})" if fitting else ""


def _convert_centroids(source: str | Path, out: str | Path, to: str) -> list[str]:
    endings = {"luss": ".npz", "authors": ".npy"}
    if to not in endings:
        raise LussError(f"--to is {to}, which has no centroids; use --to luss or --to authors")
    if Path(out).suffix != endings[to]:
        raise LussError(f"--out is {out}, expected a file *{endings[to]} for centroids of {to}")
    centroids = read_centroids(source)
    with atomic_write(out) as file:
        if to == "luss":
            np.savez(file, centroids=centroids)
        else:
            np.save(file, centroids)
    return [f"{source}: {len(centroids)} centroids of length {centroids.shape[1]}"]
