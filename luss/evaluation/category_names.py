"""``names.json``: the user's names of discovered categories, and which are merged or dropped.

It contains an entry for each generated id, whose keys are optional::

    {"centroids": "8e93d11f1afc4fd7",
     "categories": {"1": {"name": "dog"}, "2": {"merge_into": 1}, "3": {"drop": true}}}

Category 2 gets the id of category 1, category 3 becomes 'other' (0). ``centroids`` identifies the
clustering; ids of another clustering mean other categories.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luss.errors import LussError, nearest
from luss.files import file_digest, read_arrays, read_json, write_json

__all__ = [
    "NAMES_FILE",
    "CategoryNames",
    "category_names_of",
    "complete_category_names",
    "digest_of_clustering",
    "read_category_names",
]

NAMES_FILE = "names.json"
"""File in the work dir."""

_ID = re.compile(r"[1-9][0-9]{0,4}")
_KEYS = ("name", "merge_into", "drop")
_LONGEST_NAME = 200


@dataclass(frozen=True)
class CategoryNames:
    """Names of generated categories, and the ids that they become.

    Attributes:
        kept: (G+1,) int64, the new id of each generated id: itself, the id it is merged into, or 0
            if it is dropped; ``kept[0] == 0``.
        names: id -> name, of named categories.
    """

    kept: NDArray[np.int64]
    names: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def none(cls, num_categories: int) -> "CategoryNames":
        """Return names that keep all G categories unnamed."""
        return cls(np.arange(num_categories + 1))

    @property
    def num_categories(self) -> int:
        """G, the number of generated categories, including merged and dropped ones."""
        return len(self.kept) - 1

    @property
    def changes_ids(self) -> bool:
        """Whether any category is merged or dropped."""
        return not np.array_equal(self.kept, np.arange(len(self.kept)))

    def name(self, index: int) -> str:
        """Return the name of a generated id or of its merge target, or 'category <id>'.

        Raises:
            LussError: if the id is out of range.
        """
        if not 0 <= index < len(self.kept):
            raise LussError(f"unknown category {index}. Expected 0..{self.num_categories}")
        kept = int(self.kept[index])
        return "other" if kept == 0 else self.names.get(kept, f"category {kept}")

    def apply(self, ids: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return a mask with categories merged and dropped.

        Args:
            ids: of any shape, generated ids in 0..G.

        Returns:
            New ids of the same shape.

        Raises:
            LussError: if an id is outside 0..G.
        """
        if ids.size and not 0 <= ids.min() <= ids.max() <= self.num_categories:
            raise LussError(
                f"a mask has ids in {ids.min()}..{ids.max()}, expected categories in "
                f"0..{self.num_categories}. Use the names.json of the same run"
            )
        return self.kept[ids]

    def digest(self, of_names: bool = True) -> str | None:
        """Return sixteen hexadecimal digits of the content; None if nothing is named or changed.

        Args:
            of_names: whether to include names, or only merged and dropped categories.
        """
        names = {str(index): self.names[index] for index in sorted(self.names)} if of_names else {}
        if not names and not self.changes_ids:
            return None
        content = json.dumps([self.kept.tolist(), names]).encode()
        return hashlib.sha256(content).hexdigest()[:16]


def digest_of_clustering(path: str | os.PathLike) -> str | None:
    """Return sixteen hexadecimal digits of ``centroids.npz``; None if it is missing."""
    return file_digest(path)[:16] if Path(path).is_file() else None


def category_names_of(
    work_dir: str | os.PathLike, clustering: str | os.PathLike | None
) -> CategoryNames | None:
    """Return the user's category names of a run; None if nothing is named or changed.

    Args:
        work_dir: of the run.
        clustering: ``centroids.npz`` of the stage that discovered the categories, if finished.

    Raises:
        LussError: see :func:`read_category_names`, or if the clustering is damaged.
    """
    path = Path(work_dir, NAMES_FILE)
    if not path.exists() or clustering is None:
        return None
    (centroids,) = read_arrays(clustering, "centroids")
    names = read_category_names(path, len(centroids), digest_of_clustering(clustering))
    return None if names.digest() is None else names


def read_category_names(
    path: str | os.PathLike, num_categories: int, clustering: str | None = None
) -> CategoryNames:
    """Read ``names.json``; a missing file means no names.

    Args:
        path: of the file.
        num_categories: G, the number of generated categories.
        clustering: digest of the run's clustering, see :func:`digest_of_clustering`, which must
            equal the digest in the file if both are known.

    Raises:
        LussError: if the file is damaged, belongs to another clustering, contains unknown ids or
            conflicting entries, or merges categories in a circle or into a dropped one.
    """
    if not Path(path).exists():
        return CategoryNames.none(num_categories)
    content = read_json(path)
    _check_outline(content, path, clustering)
    names: dict[int, str] = {}
    targets: dict[int, int] = {}
    for key, entry in content["categories"].items():
        index = _id(key, num_categories, path)
        where = f"category {index} in {path}"
        if name := _checked_entry(entry, where):
            names[index] = name
        if entry.get("drop"):
            targets[index] = 0
        elif "merge_into" in entry:
            targets[index] = _target(entry["merge_into"], num_categories, where)
    kept = np.arange(num_categories + 1)
    for index in targets:
        kept[index] = _end_of_chain(index, targets, path)
    return CategoryNames(kept, names)


def complete_category_names(
    path: str | os.PathLike, num_categories: int, clustering: str | None = None
) -> list[int]:
    """Add an empty entry for each category without one, keeping existing entries.

    Args:
        path: of ``names.json``, created if it is missing.
        num_categories: G, the number of generated categories.
        clustering: digest of the run's clustering, see :func:`digest_of_clustering`.

    Returns:
        The added ids; if there are none, the file is not written.

    Raises:
        LussError: see :func:`read_category_names`.
    """
    read_category_names(path, num_categories, clustering)
    content = read_json(path) if Path(path).exists() else {}
    entries = content.get("categories", {})
    added = [index for index in range(1, num_categories + 1) if str(index) not in entries]
    if added:
        entries = {**entries, **{str(index): {"name": ""} for index in added}}
        known = {"centroids": clustering} if clustering else {}
        ordered = {key: entries[key] for key in sorted(entries, key=int)}
        write_json(path, {**known, **content, "categories": ordered})
    return added


def _check_outline(content: dict[str, Any], path: str | os.PathLike, clustering: str | None):
    known = ("centroids", "categories")
    for key in content:
        if key not in known:
            raise LussError(
                f"{path} has the unknown key {key!r}{nearest(key, known)} Expected some of: "
                f"{', '.join(known)}"
            )
    if not isinstance(content.get("categories"), dict):
        raise LussError(
            f"{path} has no object 'categories'. Write one, such as "
            '{"categories": {"1": {"name": "dog"}}}'
        )
    written_for = content.get("centroids")
    if written_for is not None and not isinstance(written_for, str):
        raise LussError(f"'centroids' in {path} is {written_for!r}, expected text")
    if clustering and written_for and clustering != written_for:
        raise LussError(
            f"{path} belongs to another clustering: its centroids are {written_for}, the run's are "
            f"{clustering}. Move the file away and name the new categories"
        )


def _id(key: str, num_categories: int, path: str | os.PathLike) -> int:
    if not _ID.fullmatch(key) or int(key) > num_categories:
        raise LussError(
            f"{path} has an entry for the unknown category {key[:40]!r}. Expected "
            f"1..{num_categories}"
        )
    return int(key)


def _checked_entry(entry: Any, where: str) -> str:
    """Check the entry of a category, and return its name, empty if it has none."""
    if not isinstance(entry, dict):
        raise LussError(f'{where} is {str(entry)[:40]!r}. Expected an object {{"name": "dog"}}')
    for key in entry:
        if key not in _KEYS:
            raise LussError(
                f"{where} has the unknown key {key!r}{nearest(key, _KEYS)} Expected some of: "
                f"{', '.join(_KEYS)}"
            )
    name, drop = entry.get("name", ""), entry.get("drop", False)
    if not isinstance(name, str) or len(name) > _LONGEST_NAME or not name.isprintable():
        raise LussError(
            f"the name of {where} is {str(name)[:40]!r}, expected one line of at most "
            f"{_LONGEST_NAME} characters"
        )
    if not isinstance(drop, bool):
        raise LussError(f"'drop' of {where} is {drop!r}, expected true or false")
    if drop and "merge_into" in entry:
        raise LussError(f"{where} is dropped and merged. Remove 'drop' or 'merge_into'")
    return name.strip()


def _target(target: Any, num_categories: int, where: str) -> int:
    if isinstance(target, bool) or not isinstance(target, int):
        raise LussError(f"'merge_into' of {where} is {target!r}, expected the id of a category")
    if not 1 <= target <= num_categories:
        raise LussError(
            f"{where} is merged into the unknown category {target}. Expected 1..{num_categories}"
            + ("; to make it 'other', write \"drop\": true" if target == 0 else "")
        )
    return target


def _end_of_chain(index: int, targets: Mapping[int, int], path: str | os.PathLike) -> int:
    """Return the final id of a category, following chains of merges."""
    chain = [index]
    while chain[-1] in targets:
        target = targets[chain[-1]]
        if target in chain:
            circle = " -> ".join(map(str, [*chain[chain.index(target) :], target]))
            raise LussError(f"{path} merges categories in a circle, {circle}. Keep one of them")
        if target == 0 and len(chain) > 1:
            raise LussError(
                f"category {chain[-2]} in {path} is merged into {chain[-1]}, which is dropped. "
                "Drop both, or merge it into another one"
            )
        chain.append(target)
    return chain[-1]
