"""Convert links between files of the repository to links of the site."""

import os
import re
from pathlib import Path

__all__ = ["INCLUDED", "REPOSITORY", "with_links_of_the_site"]

REPOSITORY = Path(__file__).resolve().parents[2]

INCLUDED = {
    "ARCHITECTURE.md": "architecture",
    "CHANGELOG.md": "changelog",
    "CONTRIBUTING.md": "contributing",
    "benchmarks/RESULTS.md": "results",
    "configs/ablations/README.md": "ablations",
    "projects/README.md": "projects",
    "projects/c2am/README.md": "c2am_project",
    "projects/example/README.md": "example_project",
    "projects/foreground_analysis/README.md": "foreground_analysis_project",
    "projects/foreground_sources/README.md": "foreground_sources_project",
    "projects/inspection/README.md": "inspection_project",
    "projects/sweeps/README.md": "sweeps_project",
    "projects/taught_foreground/README.md": "taught_foreground_project",
}
"""Files outside ``docs/`` -> names of the pages in ``docs/generated/`` that show them."""

_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s#]+)(#[^)\s]*)?\)")
_OUTSIDE = re.compile(r"^([a-z]+:|#|/)")


def with_links_of_the_site(text: str, docname: str) -> str:
    """Return a page with relative links to pages of the site.

    What the repository has and the site has not, such as the folder of a project, becomes its
    path.

    Args:
        text: Markdown, written for its place in the repository.
        docname: of the page, such as ``generated/architecture``.
    """
    page = REPOSITORY / "docs" / docname
    sources = {f"generated/{name}": REPOSITORY / path for path, name in INCLUDED.items()}
    folder = sources.get(docname, page).parent

    def link(match: re.Match) -> str:
        shown, target, anchor = match[1], match[2], match[3] or ""
        if _OUTSIDE.match(target):
            return match[0]
        path = Path(os.path.normpath(folder / target))
        if found := _page_of(path):
            return f"[{shown}]({os.path.relpath(found, page.parent)}{anchor})"
        if path.is_relative_to(REPOSITORY) and path.exists():
            name = path.relative_to(REPOSITORY).as_posix()
            plain = shown.strip("`")
            return f"`{name}`" if plain in name else f"{shown} (`{name}`)"
        return match[0]

    parts = re.split(r"(^```.*?^```$)", text, flags=re.DOTALL | re.MULTILINE)
    parts[::2] = [_LINK.sub(link, part) for part in parts[::2]]
    return "".join(parts)


def _page_of(path: Path) -> Path | None:
    """Return the file below ``docs/`` that shows a file of the repository."""
    docs = REPOSITORY / "docs"
    if not path.is_relative_to(REPOSITORY):
        return None
    name = path.relative_to(REPOSITORY).as_posix()
    if name in INCLUDED:
        return docs / "generated" / f"{INCLUDED[name]}.md"
    if re.fullmatch(r"configs/(pass|semi_supervised|distance_matching|ablations)/\w+\.py", name):
        return docs / "generated" / "models" / path.parent.name / f"{path.stem}.md"
    return path if path.is_relative_to(docs) and path.suffix == ".md" else None
