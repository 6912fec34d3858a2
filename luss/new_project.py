"""Create a project from the template of luss."""

import importlib
import keyword
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

from luss.errors import LussError
from luss.files import UNFINISHED

__all__ = ["new_project"]

_TEMPLATE = Path(__file__).parent / ".mim" / "project_template"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_NOT_COPIED = shutil.ignore_patterns("__pycache__", ".*")


def new_project(name: str, folder: str | Path) -> Path:
    """Copy the template atomically, and replace its name by the project's.

    Args:
        name: of the project and its package.
        folder: parent of the project's folder.

    Returns:
        The project's folder.

    Raises:
        LussError: if the name is invalid or taken.
    """
    target = Path(folder).expanduser() / name
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise LussError(
            f"the project name {name!r} is invalid; use lower-case letters, digits and _, such as "
            "my_method"
        )
    if target.exists():
        raise LussError(f"{target} already exists; choose another name or --out")
    importlib.invalidate_caches()
    if (taken := find_spec(name)) is not None:
        raise LussError(
            f"the name {name!r} is taken by {taken.origin or 'a folder on the import path'}; a "
            "project is imported by its name, so choose another one"
        )
    unfinished = target.with_name(f".{name}{UNFINISHED}")
    shutil.rmtree(unfinished, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copytree(_TEMPLATE, unfinished, ignore=_NOT_COPIED)
        for path in sorted(unfinished.rglob("*"), reverse=True):
            if path.is_file():
                path.write_text(_renamed(path.read_text(encoding="utf-8"), name), encoding="utf-8")
            path.rename(path.with_name(_renamed(path.name, name)))
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def _renamed(text: str, name: str) -> str:
    class_name = "".join(part.capitalize() for part in name.split("_"))
    return text.replace("template", name).replace("Template", class_name)
