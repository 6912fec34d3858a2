"""Where config files lie, and what they can import: the same from a checkout, a wheel, anywhere."""

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
    "dicts_replace_none",
    "import_custom_modules",
    "inheritance",
    "library_config",
    "make_importable",
    "merged",
    "project_folders",
]


def library_config(name: str) -> Path:
    """The file that ``LIBRARY::PATH`` names: PATH below the configs that the library installs.

    OpenMMLab's libraries and luss keep them in ``.mim/configs`` of the package.

    Args:
        name: such as ``luss::pass/pass_s_photos.py``.

    Raises:
        LussError: if the library is not installed or has no such config.
    """
    library, _, path = name.partition("::")
    found = find_spec(library) if library.isidentifier() else None
    if found is None or found.origin is None:
        raise LussError(f"{name}: no library {library!r} is installed to take a config from")
    folder = Path(found.origin).parent / ".mim" / "configs"
    file = folder / path
    if not path or not file.is_file():
        raise LussError(f"{name}: {library} has no such config; there is no {path!r} in {folder}")
    return file


@contextlib.contextmanager
def inheritance() -> Iterator[dict[Path, bool]]:
    """While configs are read: find those of libraries, and make the packages around all importable.

    Yields the files that are inherited from -> whether another library's config names them.

    MMEngine finds configs by a list of libraries and by ``pkg_resources``, which setuptools no
    longer has; it offers no other place to say where a library has its configs.
    """
    original = Config._get_cfg_path
    bases: dict[Path, bool] = {}

    def find(base: str, filename: str) -> tuple[str, str | None]:
        if "::" not in base:
            path, scope = original(base, filename)
        else:
            library = base.partition("::")[0]
            # What luss' configs name is found without a scope, which their other settings lack.
            path, scope = str(library_config(base)), None if library == "luss" else library
        within = bases.get(Path(filename).resolve(), False)
        bases[Path(path).resolve()] = scope is not None or within
        make_importable(path)
        return path, scope

    Config._get_cfg_path = staticmethod(find)
    try:
        with dicts_replace_none():
            yield bases
    finally:
        Config._get_cfg_path = staticmethod(original)


@contextlib.contextmanager
def dicts_replace_none() -> Iterator[None]:
    """While settings are merged: let a dict replace None, which has nothing to inherit from.

    ``weights = dict(file=...)`` then needs no ``_delete_=True`` where the base config has
    ``weights = None``. MMEngine raises a TypeError.
    """
    original = Config._merge_a_into_b

    def merge(child: dict, base: dict, allow_list_keys: bool = False) -> dict:
        if isinstance(base, dict):
            child = {
                key: {**value, DELETE_KEY: True}
                if isinstance(value, dict) and base.get(key, value) is None
                else value
                for key, value in child.items()
            }
        return original(child, base, allow_list_keys)

    Config._merge_a_into_b = staticmethod(merge)
    try:
        yield
    finally:
        Config._merge_a_into_b = staticmethod(original)


def merged(child: dict, base: dict) -> dict:
    """Return the settings of ``base``, with those of ``child`` merged as configs are."""
    with dicts_replace_none():
        return Config._merge_a_into_b(child, base)


def make_importable(path: str | Path) -> None:
    """Let the package that a file lies in be imported by its name, whatever the working directory.

    The package is the outermost folder around the file that has an ``__init__.py``, those between
    included; the folder that holds it is appended to ``sys.path``, so that it hides nothing. A file
    that lies in no package changes nothing.

    Args:
        path: of a config or a test of a project.

    Raises:
        LussError: if the name of the package is taken by another one.
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
            f"{path} lies in the package {package}, but the name {package.name!r} means {origin}; "
            "give the folder another name"
        )


def import_custom_modules(settings: object, path: str | Path) -> None:
    """Import the modules that a config names in ``custom_imports``, as MMEngine would.

    Args:
        settings: ``dict(imports=[...], allow_failed_imports=False)``.
        path: of the config, for messages.

    Raises:
        LussError: if one of them cannot be imported, or the setting is none.
    """
    where = f"custom_imports of {path}"
    allowed = {"imports", "allow_failed_imports"}
    if not isinstance(settings, dict) or not settings.keys() <= allowed:
        raise LussError(f"{where} is {settings!r}, expected dict(imports=['MODULE', ...])")
    names = settings.get("imports") or []
    for name in [names] if isinstance(names, str) else names:
        try:
            importlib.import_module(name)
        # Modules are code: whatever they raise is for their author to mend.
        except Exception as error:
            if isinstance(error, ImportError) and settings.get("allow_failed_imports"):
                continue
            place = traceback.extract_tb(error.__traceback__)[-1]
            reason = " ".join(str(error).split())
            raise LussError(
                f"{where} names {name!r}, which cannot be imported: {type(error).__name__}: "
                f"{reason} ({place.filename}, line {place.lineno}). A config can import the "
                "package that it lies in, and what is installed; the config of a run also what its "
                "project was. If that has moved, add the folder around it to PYTHONPATH"
            ) from error


def project_folders(settings: object) -> list[str]:
    """Return the folders from which ``custom_imports`` come, but for those of installed packages.

    Args:
        settings: as :func:`import_custom_modules` takes them, already imported.
    """
    installed = {Path(path).resolve() for path in sysconfig.get_paths().values()}
    names = (settings.get("imports") if isinstance(settings, dict) else None) or []
    found = []
    for name in [names] if isinstance(names, str) else names:
        top = name.partition(".")[0]
        spec = getattr(sys.modules.get(top), "__spec__", None)
        # Of a package its folder, of a module its file; neither is there for those built in.
        places = spec and (spec.submodule_search_locations or (spec.has_location and [spec.origin]))
        if places:
            folder = Path(places[0]).resolve().parent
            if folder not in installed:
                found.append(str(folder))
    return list(dict.fromkeys(found))


def _is_package(folder: Path) -> bool:
    return (folder / "__init__.py").is_file()


def _origin(name: str) -> Path | None:
    """The file that a top-level name is imported from; None if there is nothing of that name."""
    try:
        found = find_spec(name)
    except ValueError:  # of a module that was made by hand
        found = None
    if found is None and name not in sys.modules:
        return None
    return Path(found.origin).resolve() if found and found.origin else Path(name)
