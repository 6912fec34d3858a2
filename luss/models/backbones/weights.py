"""Load a checkpoint into a module: select, rename, compare, resize and copy its tensors.

Both ``weights=`` and ``init_cfg=dict(type='Pretrained')`` of all configs use it.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn

from luss.compat import scipy_with_interp2d
from luss.errors import LussError, nearest
from luss.models.backbones.layouts import LAYOUTS, MMSEG_VIT, UNNAMED, Layout, Renames

__all__ = [
    "WeightsEntry",
    "fill_from",
    "load_tensors",
    "parts_beside_the_backbone",
    "pick",
    "share_of_matches",
    "tensors_of",
    "weights_entry",
]

_MMSEG_MARK = ".attn.attn.in_proj_weight"
_SHOWN = 3


@dataclass(frozen=True)
class WeightsEntry:
    """File of a checkpoint and layout of its tensor names.

    Attributes:
        file: local path of the checkpoint.
        layout: one of ``LAYOUTS``; None for names as in luss, with further layers, which are
            ignored.
        key: of the file's dict that contains the tensors; by default the layout's.
        prefix: prefix of the module's names, with or without a final dot; by default the layout's
            prefix that matches most of the module's tensors.
        rename: renames after the layout's, (regular expression, replacement) pairs.
        ignore: regular expressions; tensors of the file whose names, without the prefix, match one
            of them are ignored.
        allow_missing: regular expressions; tensors of the module whose names match one of them keep
            their initial values if the file lacks them.
    """

    file: str
    layout: str | None = None
    key: str | None = None
    prefix: str | None = None
    rename: tuple[tuple[str, str], ...] = ()
    ignore: tuple[str, ...] = ()
    allow_missing: tuple[str, ...] = ()

    @classmethod
    def parse(cls, value: object, where: str) -> "WeightsEntry":
        """Parse a path, or a dict of these attributes.

        Args:
            value: from a config.
            where: its place, for messages.

        Raises:
            LussError: if an attribute is unknown or invalid.
        """
        settings: dict[str, Any] = dict(value) if isinstance(value, Mapping) else {"file": value}
        known = list(cls.__dataclass_fields__)
        if unknown := [key for key in settings if key not in known]:
            raise LussError(
                f"{where}.{unknown[0]} is not a setting{nearest(unknown[0], known)} Known are: "
                f"{', '.join(known)}"
            )
        if not settings.get("file"):
            raise LussError(f"{where} has no file; set it to the path of a checkpoint")
        settings["file"] = str(settings["file"])
        if "://" in settings["file"]:
            raise LussError(
                f"{where}: weights {settings['file']} are a URL, expected a path; download the "
                "file and give its path"
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
                    f"{where}.rename has {pair!r}, expected a regular expression and its "
                    f"replacement: {error}"
                ) from error
        settings["rename"] = tuple((pattern, text) for pattern, text in pairs)
        for key in ("ignore", "allow_missing"):
            patterns = settings.get(key, ())
            settings[key] = tuple([patterns] if isinstance(patterns, str) else patterns)
            for pattern in settings[key]:
                try:
                    re.compile(pattern)
                except (TypeError, re.error) as error:
                    raise LussError(
                        f"{where}.{key} has {pattern!r}, expected a regular expression: {error}"
                    ) from error
        return cls(**settings)

    @property
    def path(self) -> Path:
        """Return the file's path, with ``~`` expanded."""
        return Path(self.file).expanduser()

    @property
    def _layout(self) -> Layout:
        return LAYOUTS[self.layout] if self.layout else UNNAMED


def weights_entry(value: str | Mapping | None) -> str | dict | None:
    """Return weights as a path or one dict; None if no file is named.

    Args:
        value: a path, or a dict as :class:`WeightsEntry`, whose ``file`` may be such a dict again:
            a reference to weights that are set elsewhere, with its own settings.
    """
    if not isinstance(value, Mapping):
        return value or None
    inner = weights_entry(value.get("file"))
    if inner is None:
        return None
    inner = inner if isinstance(inner, dict) else {"file": inner}
    return {**inner, **{key: entry for key, entry in value.items() if key != "file"}}


def fill_from(module: nn.Module, content: Mapping, entry: WeightsEntry) -> None:
    """Load a checkpoint's tensors into a module, all or nothing.

    Args:
        module: such as a backbone.
        content: of the file.
        entry: file and layout.

    Raises:
        LussError: see :func:`pick` and :func:`load_tensors`.
    """
    found = pick(content, entry, module.state_dict(), type(module).__name__)
    _compare_heads(module, entry)
    _compare_positions(module, entry)
    load_tensors(module, found, entry.file)


def _compare_heads(module: nn.Module, entry: WeightsEntry) -> None:
    """Check the number of attention heads, which no tensor's shape depends on."""
    width = _width_of_positions(module)
    expected = None if width is None else entry._layout.heads.get(width)
    own = next((getattr(part, "num_heads", None) for part in _attention(module)), None)
    if expected is not None and own is not None and own != expected:
        raise LussError(
            f"{entry.file}: vision transformers of layout {entry.layout!r} and width {width} have "
            f"{expected} heads, but {type(module).__name__} has {own}, which would change its "
            f"output; set arch to a dict with num_heads={expected}"
        )


def _compare_positions(module: nn.Module, entry: WeightsEntry) -> None:
    offset, own = entry._layout.position_offset, getattr(module, "interpolate_offset", 0.0)
    if offset is not None and own != offset and _width_of_positions(module):
        print_log(
            f"{entry.file}: {type(module).__name__} and models of layout {entry.layout!r} resize "
            "position embeddings differently, so outputs differ at other image sizes than that of "
            "the file; use type='DINOVisionTransformer' or type='LayerScaleVisionTransformer' with "
            f"interpolate_offset={offset}",
            "current",
            level=logging.WARNING,
        )


def _attention(module: nn.Module) -> Iterable[nn.Module]:
    return (part for part in module.modules() if isinstance(getattr(part, "num_heads", None), int))


def _width_of_positions(module: nn.Module) -> int | None:
    """Return the width of a vision transformer's position embeddings; None if it has none."""
    positions = getattr(module, "pos_embed", None)
    return positions.shape[-1] if isinstance(positions, Tensor) and positions.ndim == 3 else None


@dataclass(frozen=True)
class _Reading:
    """Renamed tensors of a file below a prefix.

    Attributes:
        prefix: of the file's names.
        tensors: by their names in luss.
        written: name in luss -> name in the file, without the prefix.
        clash: a name in luss with two tensors, and their two names in the file.
    """

    prefix: str
    tensors: dict[str, Tensor]
    written: dict[str, str]
    clash: tuple[str, str, str] | None


def pick(
    content: Mapping, entry: WeightsEntry, wanted: Mapping[str, Tensor], what: str = "the backbone"
) -> dict[str, Tensor]:
    """Select a module's tensors in a checkpoint, by the module's names.

    Without a layout, layers outside the module (a classifier on top) are ignored. Surplus tensors
    inside its modules (of a deeper network of the same kind), or below a given prefix, raise.

    Args:
        content: of the file.
        entry: file and layout.
        wanted: the module's tensors by name.
        what: the module, for messages.

    Raises:
        LussError: if tensors are missing, or the file has surplus tensors of the module.
    """
    tensors = tensors_of(content, entry)
    reading = _best_reading(tensors, entry, wanted)
    found, written = reading.tensors, reading.written
    # Modules compute integer tensors (counters, index tables) themselves.
    missing = {
        name
        for name in wanted.keys() - found.keys()
        if wanted[name].is_floating_point()
        and not any(re.search(pattern, name) for pattern in entry.allow_missing)
    }
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
            f"{_beginnings(tensors)}. Set the backbone to the saved network, and the layout of "
            f"weights ({', '.join(LAYOUTS)}), prefix and rename to those of the file"
            f"{_proposal(others, used) if not missing else ''}"
        )
    return {name: found[name] for name in wanted.keys() & found.keys()}


def _proposal(others: set[str], used: set[str]) -> str:
    """Propose patterns that ignore all of ``others`` and none of ``used``."""
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
    return f". To ignore the surplus tensors, add ignore={patterns!r}"


def _best_reading(
    tensors: Mapping[str, Tensor], entry: WeightsEntry, wanted: Mapping[str, Tensor]
) -> _Reading:
    """Return the prefix and variant of the layout that match most of the wanted tensors."""
    layout = entry._layout
    prefixes = layout.prefixes
    if entry.prefix is not None:
        given = entry.prefix and f"{entry.prefix.rstrip('.')}."
        prefixes = (given, f"module.{given}")
    found = [prefix for prefix in prefixes if any(name.startswith(prefix) for name in tensors)]
    if not found:
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
        for prefix in found
        for variant in layout.variants
    ]
    # On a tie, the first.
    best = max(readings, key=lambda reading: len(reading.tensors.keys() & wanted.keys()))
    if best.clash:
        new, *names = best.clash
        raise LussError(
            f"{entry.file}: two tensors are renamed to {new!r}: {' and '.join(names)}; correct "
            "rename, or add one of them to ignore"
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
    inside = {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
    if entry._layout.convert is not None:
        inside = entry._layout.convert(inside)
    for own, value in inside.items():
        new = own
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


def share_of_matches(content: Mapping, entry: WeightsEntry, wanted: Mapping[str, Tensor]) -> float:
    """Return the share of tensors with equal names and shapes among those of module and file.

    Args:
        content: of the file.
        entry: file and layout.
        wanted: the module's tensors by name, on any device.

    Returns:
        1 if the file fits exactly, 0 if no tensor matches.
    """
    try:
        found = pick(content, entry, wanted)
    except LussError:
        try:
            found = _best_reading(tensors_of(content, entry), entry, wanted).tensors
        except LussError:
            return 0.0
    floats = {name for name, value in wanted.items() if value.is_floating_point()}
    names = {name for name, value in found.items() if value.is_floating_point()}
    floats -= {
        name
        for name in floats - names
        if any(re.search(pattern, name) for pattern in entry.allow_missing)
    }
    matches = sum(found[name].shape == wanted[name].shape for name in floats & names)
    return matches / len(floats | names)


def parts_beside_the_backbone(content: Mapping, entry: WeightsEntry) -> dict[str, Tensor]:
    """Return tensors of a pretrainer's further modules in the layout, by their names in luss."""
    layout = entry._layout if entry.layout else LAYOUTS["openmmlab"]
    found = {}
    for name, value in tensors_of(content, entry).items():
        bare = name.removeprefix("module.")
        for beginning, ours in layout.parts:
            if bare.startswith(beginning):
                found[ours + bare.removeprefix(beginning)] = value
    return found


def load_tensors(module: nn.Module, weights: Mapping[str, Tensor], path: str) -> None:
    """Copy tensors into a module, all or nothing; it resizes position embeddings by its own rule.

    Args:
        module: the target.
        weights: from :func:`pick`.
        path: for messages.

    Raises:
        LussError: if shapes differ.
    """
    before = {name: value.clone() for name, value in module.state_dict().items()}
    try:
        # Hooks of mmcls' transformers resize position embeddings.
        with scipy_with_interp2d():
            module.load_state_dict(_resized(module, dict(weights), before), strict=False)
    # The resizing rules raise any kind of exception.
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
            reason = "no rule for this tensor"
        raise LussError(
            f"{name} of {path} has shape {tuple(weights[name].shape)}, "
            f"{type(module).__name__} expects {tuple(before[name].shape)} and cannot resize it "
            f"({reason}). Set the backbone to the saved network, including its image and window "
            "sizes"
        ) from error


def _resized(
    backbone: nn.Module, weights: dict[str, Tensor], own: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Resize position embeddings by the methods of mmseg's transformers."""
    resize_biases = getattr(backbone, "resize_rel_pos_embed", None)
    if resize_biases is not None:
        weights = resize_biases(weights)
    position = weights.get("pos_embed")
    rule = getattr(backbone, "resize_pos_embed", None)
    # Loading hooks resize those of mmcls' transformers.
    if position is None or rule is None or hasattr(backbone, "_prepare_pos_embed"):
        return weights
    if position.ndim == 3 and position.shape != own["pos_embed"].shape:
        side = round((position.shape[1] - 1) ** 0.5)
        own_size: Any = backbone.img_size
        height, width = (length // backbone.patch_size for length in own_size)
        mode = backbone.interpolate_mode
        weights["pos_embed"] = rule(position, (height, width), (side, side), mode)
    return weights


def tensors_of(content: Mapping, entry: WeightsEntry) -> dict[str, Tensor]:
    """Return the tensors of a file by their names in the file.

    Args:
        content: of the file.
        entry: selects the key of the tensors.

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
            f"{entry.file} contains no dict of tensors; its keys are "
            f"{', '.join(map(str, list(content)[:10]))}; set key to that of a dict of tensors"
        )
    return tensors


def _beginnings(names: Iterable[str]) -> str:
    """Format the most frequent beginnings of names, as long as needed to differ, and counts."""
    names = list(names)
    for depth in (1, 2, 3):
        found = Counter(".".join(name.split(".")[:depth]) for name in names)
        if len(found) > 1:
            break
    shown = ", ".join(f"{name} ({count})" for name, count in found.most_common(6))
    return f"its names begin with {shown}{', ...' if len(found) > 6 else ''}"


def _first(names: set[str]) -> str:
    return ", ".join(sorted(names)[:_SHOWN]) or "none"
