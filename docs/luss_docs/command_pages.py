"""The help texts of all command lines."""

import ast
import os
from collections.abc import Callable
from unittest.mock import patch

from luss_docs.links import REPOSITORY
from luss_docs.parsers import parser_of

__all__ = ["command_pages"]


def command_pages() -> dict[str, str]:
    """Return the page of all command lines."""
    parts = [
        "# Command lines\n\nThe output of `--help`. In a checkout, run the scripts of `tools/`. "
        "Everywhere else, use `luss COMMAND` or `python -m luss COMMAND`."
    ]
    for path in sorted((REPOSITORY / "tools").rglob("*.py")):
        script = path.relative_to(REPOSITORY).as_posix()
        with patch.dict(os.environ, COLUMNS="88"):
            parser = parser_of(script)
            parser.prog = script
            usage = parser.format_help()
        parts.append(f"## {script}\n\n```text\n{usage.rstrip()}\n```")
    parts += [
        "## Shell scripts\n\n" + _listed("tools", "*.sh", _first_comment),
        "## Benchmarks\n\n" + _listed("benchmarks", "*.py", _summary),
    ]
    return {"commands.md": "\n\n".join(parts) + "\n"}


def _listed(folder: str, pattern: str, about: Callable[[str], str]) -> str:
    paths = sorted((REPOSITORY / folder).glob(pattern))
    return "\n".join(
        f"- `{folder}/{path.name}`: {about(path.read_text('utf-8'))}" for path in paths
    )


def _first_comment(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("# ")]
    return lines[0].removeprefix("# ") if lines else ""


def _summary(text: str) -> str:
    docstring = ast.get_docstring(ast.parse(text)) or ""
    return " ".join(docstring.partition("\n\n")[0].split())
