"""Sphinx extension: pages generated from the code, and links between files of the repository.

At ``builder-inited``, the pages of :func:`luss_docs.pages.all_pages` are written to
``docs/generated/``. Unchanged files are not rewritten, so that Sphinx builds them once. Only this
module imports Sphinx.
"""

import importlib
import re
from pathlib import Path

from luss_docs.links import with_links_of_the_site
from luss_docs.pages import all_pages

__all__ = ["setup"]

GENERATED = Path(__file__).resolve().parents[1] / "generated"


def setup(app) -> dict:
    """Connect the extension to Sphinx."""
    app.connect("builder-inited", lambda app: write_pages(GENERATED))
    # The index lists all pages.
    app.connect(
        "env-get-outdated",
        lambda app, env, added, changed, removed: ["index"] if added or removed else [],
    )
    app.connect("source-read", _rewrite_links)
    app.connect("missing-reference", _find_by_import)
    app.connect("autodoc-process-docstring", _plain_text)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write_pages(folder: Path) -> None:
    """Write all generated pages below a folder, and remove outdated ones."""
    pages = all_pages()
    for path in [*folder.rglob("*.md"), *folder.rglob("*.rst")]:
        if path.relative_to(folder).as_posix() not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _rewrite_links(app, docname: str, source: list[str]) -> None:
    if str(app.env.doc2path(docname)).endswith(".md"):
        source[0] = with_links_of_the_site(source[0], docname)
    if docname == "index":
        source[0] = source[0].replace(_OTHERS, "\n".join(_other_pages(source[0])))


_OTHERS = "(all other pages)"


def _other_pages(index: str) -> list[str]:
    """Return the pages of ``docs/`` that are not in the index, so that new pages are included."""
    names = sorted(path.stem for path in GENERATED.parent.glob("*.md"))
    return [name for name in names if name != "index" and f"\n{name}\n" not in index]


def _find_by_import(app, env, node, contnode):
    """Resolve references in docstrings to names that are defined in another module.

    Docstrings use the import path of users (``luss.models.P2P``), or only the last name.
    """
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"].lstrip("~.")
    objects = env.domains["py"].objects
    name = _defined_as(target)
    if name not in objects:
        found = [known for known in objects if known.endswith(f".{target}")]
        if len(found) != 1:
            return None
        (name,) = found
    from sphinx.util.nodes import make_refnode

    entry = objects[name]
    return make_refnode(
        app.builder, node["refdoc"], entry.docname, entry.node_id, contnode, title=name
    )


def _defined_as(target: str) -> str | None:
    """Return the full name of the definition of a dotted name."""
    module, _, name = target.rpartition(".")
    if not module.startswith("luss"):
        return None
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        return None
    return f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"


_STAR = re.compile(r"(?<=[(, ])\*(?=\w+[),])")


def _plain_text(app, what, name, obj, options, lines: list[str]) -> None:
    """Escape norms such as |z| and shapes such as (N, *size) for reStructuredText."""
    for index, line in enumerate(lines):
        parts = line.split("``")
        parts[::2] = [_STAR.sub(r"\\*", part.replace("|", "\\|")) for part in parts[::2]]
        lines[index] = "``".join(parts)
