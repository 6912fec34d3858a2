"""Paths and imports of config files, independent of how luss is installed."""

import contextlib
import importlib
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from mmengine import Config
from mmengine.config.config import DELETE_KEY

from luss.errors import LussError

__all__ = [
    "OF_PRESETS",
    "import_custom_modules",
    "inheritance",
    "library_config",
    "make_importable",
    "merged",
    "merging",
    "project_folders",
]

OF_PRESETS = ("mean", "std", "view_std", "multiple", "in_index")
"""Settings at the top level that a preset of the backbone sets."""

_WEIGHTS = ("weights", "pretrained")
"""Settings that are a path, or a dict with a ``file``."""


def library_config(name: str) -> Path:
    """Return the path of ``LIBRARY::PATH``: PATH below the configs that the library installs.

    OpenMMLab's libraries and luss install configs in ``.mim/configs`` of the package.

    Args:
        name: such as ``luss::pass/pass_s_photos.py``.

    Raises:
        LussError: if the library is not installed or has no such config.
    """
    library, _, path = name.partition("::")
    found = find_spec(library) if library.isidentifier() else None
    if found is None or found.origin is None:
        raise LussError(f"{name}: the library {library!r} is not installed; install it")
    folder = Path(found.origin).parent / ".mim" / "configs"
    file = folder / path
    if not path or not file.is_file():
        raise LussError(
            f"{name}: there is no {path!r} in {folder}; see that folder for the configs"
        )
    return file


@contextlib.contextmanager
def inheritance() -> Iterator[dict[Path, bool]]:
    """Within the block, resolve ``LIBRARY::PATH`` and make the packages of configs importable.

    Yields base file -> whether it belongs to another library.

    MMEngine resolves such paths with a fixed list of libraries and ``pkg_resources``, which
    setuptools has removed, and has no option to change this.
    """
    original = Config._get_cfg_path
    bases: dict[Path, bool] = {}

    def find(base: str, filename: str) -> tuple[str, str | None]:
        if "::" not in base:
            path, scope = original(base, filename)
        else:
            library = base.partition("::")[0]
            # Settings of luss' configs need no scope.
            path, scope = str(library_config(base)), None if library == "luss" else library
        within = bases.get(Path(filename).resolve(), False)
        bases[Path(path).resolve()] = scope is not None or within
        make_importable(path)
        return path, scope

    Config._get_cfg_path = staticmethod(find)
    try:
        with merging():
            yield bases
    finally:
        Config._get_cfg_path = staticmethod(original)


@contextlib.contextmanager
def merging() -> Iterator[None]:
    """Within the block, merge settings by three more rules than MMEngine has.

    A dict replaces None, so that ``weights = dict(file=...)`` needs no ``_delete_=True`` if the
    base config has ``weights = None``. A path of weights is ``dict(file=PATH)``, into which other
    settings merge. A dict with a preset replaces one without.

    Merging raises a LussError if a config or an option states a setting of ``OF_PRESETS`` beside a
    preset, which would have no effect.
    """
    original = Config._merge_a_into_b

    def merge(child: dict, base: dict, allow_list_keys: bool = False) -> dict:
        if isinstance(base, dict):
            _reject_settings_beside_a_preset(child, base)
            base = _with_entries(base, child)
            child = {
                key: {**value, DELETE_KEY: True}
                if isinstance(value, dict) and key in base and _replaces(value, base[key])
                else value
                for key, value in child.items()
            }
        return original(child, base, allow_list_keys)

    Config._merge_a_into_b = staticmethod(merge)
    try:
        yield
    finally:
        Config._merge_a_into_b = staticmethod(original)


def _replaces(child: dict, base: object) -> bool:
    return base is None or ("preset" in child and isinstance(base, dict) and "preset" not in base)


def _with_entries(base: dict, child: dict) -> dict:
    """Return settings with a dict for each path of weights that a child config adds settings to."""
    paths = [
        key
        for key in _WEIGHTS
        if isinstance(child.get(key), dict) and isinstance(base.get(key), str)
    ]
    base = base.copy()
    base.update({key: {"file": base[key]} for key in paths})
    return base


def _reject_settings_beside_a_preset(child: dict, base: dict) -> None:
    entries = [one.get("backbone") for one in (child, base)]
    if not any(isinstance(entry, dict) and "preset" in entry for entry in entries):
        return
    if stated := [key for key in OF_PRESETS if key in child and key in base]:
        (key, *_) = stated
        raise LussError(
            f"{key} = {child[key]!r} has no effect beside backbone.preset, which sets {key}; set "
            f"backbone.{key} instead"
        )


def merged(child: dict, base: dict) -> dict:
    """Return the settings of ``base`` with those of ``child`` merged into them."""
    with merging():
        return Config._merge_a_into_b(child, base)


def make_importable(path: str | Path) -> None:
    """Make the package of a file importable from any working directory.

    The package is the outermost of the file's parent folders with an ``__init__.py``; its parent
    is appended to ``sys.path``, so that it hides no other package. For a file outside of packages,
    nothing changes.

    Args:
        path: of a config or a test of a project.

    Raises:
        LussError: if another package has the same name.
    """
    folders = Path(path).resolve().parents
    package = next((folder for folder in folders if _is_package(folder)), None)
    if package is None:
        return
    while _is_package(package.parent):
        package = package.parent
    importlib.invalidate_caches()
    if _origin(package.name) is None:
        sys.path.append(str(package.parent))
    if (origin := _origin(package.name)) != package / "__init__.py":
        raise LussError(
            f"{path} is in the package {package}, but the name {package.name!r} means {origin}; "
            "rename the folder"
        )


def import_custom_modules(settings: object, path: str | Path) -> None:
    """Import the modules of a config's ``custom_imports``, as MMEngine does.

    Args:
        settings: ``dict(imports=[...], allow_failed_imports=False)``.
        path: of the config, for messages.

    Raises:
        LussError: if a module cannot be imported, or the setting is invalid.
    """
    where = f"custom_imports of {path}"
    allowed = {"imports", "allow_failed_imports"}
    if not isinstance(settings, dict) or not settings.keys() <= allowed:
        raise LussError(f"{where} is {settings!r}, expected dict(imports=['MODULE', ...])")
    names = settings.get("imports") or []
    for name in [names] if isinstance(names, str) else names:
        try:
            importlib.import_module(name)
        # A user's module may raise any exception.
        except Exception as error:
            if isinstance(error, ImportError) and settings.get("allow_failed_imports"):
                continue
            place = traceback.extract_tb(error.__traceback__)[-1]
            reason = " ".join(str(error).split())
            raise LussError(
                f"{where}: cannot import {name!r}: {type(error).__name__}: {reason} "
                f"({place.filename}, line {place.lineno}). A config can import its own package and "
                "installed packages; if a package has moved, add its parent folder to PYTHONPATH"
            ) from error


def project_folders(settings: object) -> list[str]:
    """Return the parent folders of modules in ``custom_imports`` that are not installed packages.

    Args:
        settings: as for :func:`import_custom_modules`; the modules must be imported.
    """
    installed = {Path(path).resolve() for path in sysconfig.get_paths().values()}
    names = (settings.get("imports") if isinstance(settings, dict) else None) or []
    found = []
    for name in [names] if isinstance(names, str) else names:
        top = name.partition(".")[0]
        spec = getattr(sys.modules.get(top), "__spec__", None)
        # A package has folders, a module a file, a built-in module neither.
        places = spec and (spec.submodule_search_locations or (spec.has_location and [spec.origin]))
        if places:
            folder = Path(places[0]).resolve().parent
            if folder not in installed:
                found.append(str(folder))
    return list(dict.fromkeys(found))


def _is_package(folder: Path) -> bool:
    return (folder / "__init__.py").is_file()


def _origin(name: str) -> Path | None:
    """Return the file that a top-level name is imported from; None if there is no such module."""
    try:
        found = find_spec(name)
    except ValueError:  # a module object created without a spec
        found = None
    if found is None and name not in sys.modules:
        return None
    return Path(found.origin).resolve() if found and found.origin else Path(name)
