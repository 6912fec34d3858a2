"""Select a module's tensors in a checkpoint: rename and compare them."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from luss.errors import LussError
from luss.models.backbones.layouts import LAYOUTS, MMSEG_VIT, Renames
from luss.models.backbones.weights import WeightsEntry

__all__ = ["parts_beside_the_backbone", "pick", "share_of_matches", "tensors_of"]

_MMSEG_MARK = ".attn.attn.in_proj_weight"
_SHOWN = 3


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
        if found[name].is_floating_point() and not written[name].startswith(entry.rules.dropped)
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
    layout = entry.rules
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
    if entry.rules.convert is not None:
        inside = entry.rules.convert(inside)
    for own, value in inside.items():
        new = own
        if any(re.search(pattern, own) for pattern in entry.ignore):
            continue
        for pattern, text in renames:
            new = re.sub(pattern, text, new)
        if new not in wanted:
            others = (re.sub(pattern, text, new) for pattern, text in entry.rules.alternatives)
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
    layout = entry.rules if entry.layout else LAYOUTS["openmmlab"]
    found = {}
    for name, value in tensors_of(content, entry).items():
        bare = name.removeprefix("module.")
        for beginning, ours in layout.parts:
            if bare.startswith(beginning):
                found[ours + bare.removeprefix(beginning)] = value
    return found


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
        keys = [key for key in entry.rules.keys if key in content]
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
