"""The reference of all modules, a page for each package, written by Sphinx from docstrings."""

import ast
from pathlib import Path

from luss_docs.links import REPOSITORY

__all__ = ["api_pages"]

PACKAGE = REPOSITORY / "luss"


def api_pages() -> dict[str, str]:
    """The pages, and one that lists them."""
    packages = sorted(
        path.parent
        for path in PACKAGE.rglob("__init__.py")
        if ".mim" not in path.parts and "__pycache__" not in path.parts
    )
    pages = {}
    for package in packages:
        modules = [path for path in sorted(package.glob("*.py")) if _has_content(path)]
        if modules:
            pages[f"api/{_dotted(package)}.rst"] = _page(package, modules)
    names = [name.removeprefix("api/").removesuffix(".rst") for name in pages]
    index = ["Modules", "=======", "", "All public classes and functions, by package.", ""]
    index += [".. toctree::", "   :maxdepth: 1", "", *(f"   {name}" for name in names), ""]
    return {"api/index.rst": "\n".join(index), **pages}


def _has_content(path: Path) -> bool:
    """Whether a module defines anything public of its own; many packages only import."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    kinds = (ast.ClassDef, ast.FunctionDef)
    return any(isinstance(node, kinds) and not node.name.startswith("_") for node in body)


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")


def _page(package: Path, modules: list[Path]) -> str:
    title = _dotted(package)
    lines = [title, "=" * len(title), ""]
    if text := ast.get_docstring(ast.parse((package / "__init__.py").read_text("utf-8"))):
        lines += [text.partition("\n\n")[0], ""]
    for path in modules:
        name = _dotted(path)
        lines += [name, "-" * len(name), ""]
        lines += [f".. automodule:: {name}", "   :members:", "   :show-inheritance:", ""]
    return "\n".join(lines)
