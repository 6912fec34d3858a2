"""The one way from a file of tensors into a module: pick, rename, compare, resize, fill.

``weights=`` and ``init_cfg=dict(type='Pretrained')`` of any config go through it.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mmengine.logging import print_log
from torch import Tensor, nn

from luss.compat import scipy_with_interp2d
from luss.errors import LussError, nearest
from luss.models.backbones.layouts import LAYOUTS, MMSEG_VIT, UNNAMED, Layout, Renames

__all__ = [
    "WeightsEntry",
    "fill",
    "fill_from",
    "parts_beside_the_backbone",
    "pick",
    "tensors_of",
    "weights_entry",
]

_MMSEG_MARK = ".attn.attn.in_proj_weight"
_SHOWN = 3


@dataclass(frozen=True)
class WeightsEntry:
    """Where weights are, and how they are named.

    Attributes:
        file: of tensors, on this machine.
        layout: one of ``LAYOUTS``; None for names as they are here, with further layers that are
            passed over.
        key: of the file's dict that holds the tensors; by default the layout's.
        prefix: what the module's names begin with, with or without the dot at its end; by default
            that of the layout's below which most of the module's tensors are.
        rename: more renaming after the layout's, (regular expression, replacement) pairs.
        ignore: regular expressions; tensors of the file whose names, without the prefix, match one
            of them are passed over.
    """

    file: str
    layout: str | None = None
    key: str | None = None
    prefix: str | None = None
    rename: tuple[tuple[str, str], ...] = ()
    ignore: tuple[str, ...] = ()

    @classmethod
    def parse(cls, value: object, where: str) -> "WeightsEntry":
        """From a path, or a dict of these attributes.

        Args:
            value: as a config has it.
            where: its place, for messages.

        Raises:
            LussError: if an attribute is unknown or makes no sense.
        """
        settings = dict(value) if isinstance(value, Mapping) else {"file": value}
        known = list(cls.__dataclass_fields__)
        if unknown := [key for key in settings if key not in known]:
            raise LussError(
                f"{where}.{unknown[0]} is no setting{nearest(unknown[0], known)} Known are: "
                f"{', '.join(known)}"
            )
        if not settings.get("file"):
            raise LussError(f"{where} names no file; give the path of a checkpoint")
        settings["file"] = str(settings["file"])
        if "://" in settings["file"]:
            raise LussError(
                f"{where}: weights {settings['file']} are an address; fetch the file yourself and "
                "give its path"
            )
        if settings.get("layout") not in (None, *LAYOUTS):
            raise LussError(
                f"{where}.layout is {settings['layout']!r}; known are: {', '.join(LAYOUTS)}"
            )
        rename = settings.get("rename", ())
        pairs = [*(rename.items() if isinstance(rename, Mapping) else rename)]
        for pair in pairs:
            try:
                pattern, _ = pair
                re.compile(pattern)
            except (TypeError, ValueError, re.error) as error:
                raise LussError(
                    f"{where}.rename has {pair!r}, expected a regular expression and what takes "
                    f"its place: {error}"
                ) from error
        settings["rename"] = tuple((pattern, text) for pattern, text in pairs)
        ignore = settings.get("ignore", ())
        settings["ignore"] = tuple([ignore] if isinstance(ignore, str) else ignore)
        for pattern in settings["ignore"]:
            try:
                re.compile(pattern)
            except (TypeError, re.error) as error:
                raise LussError(
                    f"{where}.ignore has {pattern!r}, expected a regular expression: {error}"
                ) from error
        return cls(**settings)

    @property
    def path(self) -> Path:
        """The file, with ``~`` resolved."""
        return Path(self.file).expanduser()

    @property
    def _layout(self) -> Layout:
        return LAYOUTS[self.layout] if self.layout else UNNAMED


def weights_entry(own: str | dict | None, shared: str | dict | None) -> str | dict | None:
    """The weights of a stage: its own, the whole config's, or both where one lacks a file.

    Args:
        own: of the stage; a dict without ``file`` says how the shared file is to be read.
        shared: of the whole config.
    """
    if isinstance(own, Mapping) and not own.get("file"):
        shared = {"file": shared} if isinstance(shared, str) else dict(shared or {})
        return {**shared, **own, "file": shared["file"]} if shared.get("file") else None
    return own or shared


def fill_from(module: nn.Module, content: Mapping, entry: WeightsEntry) -> None:
    """Fill a module from what a file holds, all of it or nothing.

    Args:
        module: to be filled, such as a backbone.
        content: of the file.
        entry: how it is named.

    Raises:
        LussError: as :func:`pick` and :func:`fill`.
    """
    found = pick(content, entry, module.state_dict(), type(module).__name__)
    _compare_heads(module, entry)
    _compare_positions(module, entry)
    fill(module, found, entry.file)


def _compare_heads(module: nn.Module, entry: WeightsEntry) -> None:
    """Refuse a vision transformer of other heads, which has the same tensors."""
    width = _width_of_positions(module)
    expected = entry._layout.heads.get(width)
    own = next((getattr(part, "num_heads", None) for part in _attention(module)), None)
    if expected is not None and own is not None and own != expected:
        raise LussError(
            f"{entry.file}: vision transformers of layout {entry.layout!r} of width {width} have "
            f"{expected} heads, {type(module).__name__} has {own}: all tensors fit, and would "
            f"compute something else; give arch as a dict with num_heads={expected}"
        )


def _compare_positions(module: nn.Module, entry: WeightsEntry) -> None:
    offset, own = entry._layout.position_offset, getattr(module, "interpolate_offset", 0.0)
    if offset is not None and own != offset and _width_of_positions(module):
        print_log(
            f"{entry.file}: {type(module).__name__} resizes position embeddings otherwise than "
            f"the models of layout {entry.layout!r}, which matters at other sizes than that of the "
            f"file; use type='DINOVisionTransformer' or type='LayerScaleVisionTransformer' with "
            f"interpolate_offset={offset}",
            "current",
            level=logging.WARNING,
        )


def _attention(module: nn.Module) -> Iterable[nn.Module]:
    return (part for part in module.modules() if isinstance(getattr(part, "num_heads", None), int))


def _width_of_positions(module: nn.Module) -> int | None:
    """The width of a vision transformer that has position embeddings for its tokens."""
    positions = getattr(module, "pos_embed", None)
    return positions.shape[-1] if isinstance(positions, Tensor) and positions.ndim == 3 else None


@dataclass(frozen=True)
class _Reading:
    """What a file holds below a prefix, by the names here.

    Attributes:
        prefix: of the file's names.
        tensors: by the names here.
        written: name here -> the file's name without the prefix.
        clash: a name here that two tensors would have, and their names in the file.
    """

    prefix: str
    tensors: dict[str, Tensor]
    written: dict[str, str]
    clash: tuple[str, str, str] | None


def pick(
    content: Mapping, entry: WeightsEntry, wanted: Mapping[str, Tensor], what: str = "the backbone"
) -> dict[str, Tensor]:
    """A module's weights in a checkpoint, by the module's names.

    Without a layout, layers that the module has not (a classifier on top) are passed over; those
    inside of its modules (a deeper network of the same kind), and all below a prefix that names
    the module, are an error.

    Args:
        content: of the file.
        entry: how it is named.
        wanted: the module's own tensors by name.
        what: the module, for messages.

    Raises:
        LussError: if some are missing, or the file's module has others that it may not ignore.
    """
    tensors = tensors_of(content, entry)
    reading = _best_reading(tensors, entry, wanted)
    found, written = reading.tensors, reading.written
    # Counters and tables of places are integers, which a module computes itself.
    missing = {name for name in wanted.keys() - found.keys() if wanted[name].is_floating_point()}
    surplus = {
        name
        for name in found.keys() - wanted.keys()
        if found[name].is_floating_point() and not written[name].startswith(entry._layout.dropped)
    }
    if entry.layout is None and entry.prefix is None and "backbone." not in reading.prefix:
        modules = {name.split(".")[0] for name in wanted}
        surplus = {name for name in surplus if name.split(".")[0] in modules}
    if missing or surplus:
        others = {written[name] for name in surplus}
        used = {written[name] for name in found.keys() & wanted.keys()}
        raise LussError(
            f"{entry.file} does not fit {what}: {len(missing)} of its {len(wanted)} tensors "
            f"are missing ({_first(missing)}), {len(surplus)} belong to another one "
            f"({_first(others)}); read as layout {entry.layout!r} with prefix {reading.prefix!r}; "
            f"{_beginnings(tensors)}; the config must describe the network that was saved, and "
            f"weights its layout ({', '.join(LAYOUTS)}), prefix and rename"
            f"{_proposal(others, used) if not missing else ''}"
        )
    return {name: found[name] for name in wanted.keys() & found.keys()}


def _proposal(others: set[str], used: set[str]) -> str:
    """Patterns that pass over the first names, and over none of the second."""
    parts = {name[: end.start()] for name in used for end in re.finditer(r"\.|$", name)}
    beginnings = {
        next(
            beginning
            for end in re.finditer(r"\.|$", name)
            if (beginning := name[: end.start()]) not in parts
        )
        for name in others
    }
    patterns = [rf"^{re.escape(beginning)}(\.|$)" for beginning in sorted(beginnings)]
    return f". To pass over what belongs to another one, add ignore={patterns!r}"


def _best_reading(
    tensors: Mapping[str, Tensor], entry: WeightsEntry, wanted: Mapping[str, Tensor]
) -> _Reading:
    """The reading, by prefix and variant of the layout, that has most of the wanted tensors."""
    layout = entry._layout
    prefixes = layout.prefixes
    if entry.prefix is not None:
        given = entry.prefix and f"{entry.prefix.rstrip('.')}."
        prefixes = (given, f"module.{given}")
    present = [prefix for prefix in prefixes if any(name.startswith(prefix) for name in tensors)]
    if not present:
        raise LussError(
            f"{entry.file} has no names that begin with {' or '.join(map(repr, prefixes))}; "
            f"{_beginnings(tensors)}; set prefix to one of these, or another layout "
            f"({', '.join(LAYOUTS)})"
        )
    is_mmseg = any(name.endswith(_MMSEG_MARK) for name in wanted)
    readings = [
        _read(
            tensors,
            prefix,
            [*layout.renames, *variant, *(MMSEG_VIT if is_mmseg else ()), *entry.rename],
            entry,
            wanted,
        )
        for prefix in present
        for variant in layout.variants
    ]
    # The first of those that are equally good.
    best = max(readings, key=lambda reading: len(reading.tensors.keys() & wanted.keys()))
    if best.clash:
        new, *names = best.clash
        raise LussError(
            f"{entry.file}: two tensors are renamed to {new!r}, {' and '.join(names)}; correct "
            "rename, or name one of them in ignore"
        )
    return best


def _read(
    tensors: Mapping[str, Tensor],
    prefix: str,
    renames: Renames,
    entry: WeightsEntry,
    wanted: Mapping[str, Tensor],
) -> _Reading:
    found: dict[str, Tensor] = {}
    written: dict[str, str] = {}
    clash = None
    for name, value in tensors.items():
        if not name.startswith(prefix):
            continue
        own = new = name.removeprefix(prefix)
        if any(re.search(pattern, own) for pattern in entry.ignore):
            continue
        for pattern, text in renames:
            new = re.sub(pattern, text, new)
        if new not in wanted:
            others = (re.sub(pattern, text, new) for pattern, text in entry._layout.alternatives)
            new = next((other for other in others if other in wanted), new)
        if new in found:
            clash = new, written[new], own
        found[new], written[new] = value, own
    return _Reading(prefix, found, written, clash)


def parts_beside_the_backbone(content: Mapping, entry: WeightsEntry) -> dict[str, Tensor]:
    """Tensors of a pretrainer's other modules that the layout knows, by their names here."""
    layout = entry._layout if entry.layout else LAYOUTS["openmmlab"]
    found = {}
    for name, value in tensors_of(content, entry).items():
        bare = name.removeprefix("module.")
        for beginning, ours in layout.parts:
            if bare.startswith(beginning):
                found[ours + bare.removeprefix(beginning)] = value
    return found


def fill(module: nn.Module, weights: Mapping[str, Tensor], path: str) -> None:
    """Fill a module, all or nothing; position embeddings are resized by its own rule.

    Args:
        module: to be filled.
        weights: from :func:`pick`.
        path: for messages.

    Raises:
        LussError: if shapes differ.
    """
    before = {name: value.clone() for name, value in module.state_dict().items()}
    try:
        # Hooks of mmcls' transformers resize what lies on a grid.
        with scipy_with_interp2d():
            module.load_state_dict(_resized(module, dict(weights), before), strict=False)
    # Rules for resizing raise what they like.
    except Exception as error:
        module.load_state_dict(before)
        other = [
            name
            for name, value in weights.items()
            if value.is_floating_point() and value.shape != before[name].shape
        ]
        if not other:
            raise
        name, reason = sorted(other)[0], str(error).strip().partition("\n")[0]
        if reason.startswith("Error(s) in loading state_dict"):
            reason = "it has none for this"
        raise LussError(
            f"{name} of {path} has shape {tuple(weights[name].shape)}, "
            f"{type(module).__name__} expects {tuple(before[name].shape)}, and its own rule does "
            f"not resize it ({reason}); the config must describe the network that was saved, the "
            "sizes of images and windows included"
        ) from error


def _resized(
    backbone: nn.Module, weights: dict[str, Tensor], own: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Apply the rules of mmseg's transformers, which are methods that it calls itself."""
    if hasattr(backbone, "resize_rel_pos_embed"):
        weights = backbone.resize_rel_pos_embed(weights)
    position = weights.get("pos_embed")
    rule = getattr(backbone, "resize_pos_embed", None)
    # Those of mmcls are resized by a hook while they are loaded.
    if position is None or rule is None or hasattr(backbone, "_prepare_pos_embed"):
        return weights
    if position.ndim == 3 and position.shape != own["pos_embed"].shape:
        side = round((position.shape[1] - 1) ** 0.5)
        height, width = (length // backbone.patch_size for length in backbone.img_size)
        mode = backbone.interpolate_mode
        weights["pos_embed"] = rule(position, (height, width), (side, side), mode)
    return weights


def tensors_of(content: Mapping, entry: WeightsEntry) -> dict[str, Tensor]:
    """The tensors of a file by the names that they have there.

    Args:
        content: of the file.
        entry: which of its keys holds them.

    Raises:
        LussError: if there are none.
    """
    if entry.key is not None:
        if entry.key not in content:
            raise LussError(
                f"{entry.file} has no key {entry.key!r}; its keys are "
                f"{', '.join(map(str, list(content)[:10]))}"
            )
        found = content[entry.key]
    else:
        keys = [key for key in entry._layout.keys if key in content]
        found = content[keys[0]] if keys else content
    tensors = {}
    if isinstance(found, Mapping):
        tensors = {name: value for name, value in found.items() if isinstance(value, Tensor)}
    if not tensors:
        raise LussError(
            f"{entry.file} has no weights by name; expected a dict of tensors, or one below "
            f"'state_dict'; its keys are {', '.join(map(str, list(content)[:10]))}; set key"
        )
    return tensors


def _beginnings(names: Iterable[str]) -> str:
    """The first parts of names, as many as tell something, and how often each is found."""
    names = list(names)
    for depth in (1, 2, 3):
        found = Counter(".".join(name.split(".")[:depth]) for name in names)
        if len(found) > 1:
            break
    shown = ", ".join(f"{name} ({count})" for name, count in found.most_common(6))
    return f"its names begin with {shown}{', ...' if len(found) > 6 else ''}"


def _first(names: set[str]) -> str:
    return ", ".join(sorted(names)[:_SHOWN]) or "none"
