"""The command blocks of the documents, and what a line of them is made of."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

DOCUMENTS = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    REPOSITORY / "projects" / "README.md",
    REPOSITORY / "projects" / "c2am" / "README.md",
    REPOSITORY / "projects" / "example" / "README.md",
    REPOSITORY / "projects" / "foreground_analysis" / "README.md",
    REPOSITORY / "projects" / "foreground_sources" / "README.md",
    REPOSITORY / "projects" / "inspection" / "README.md",
    REPOSITORY / "projects" / "sweeps" / "README.md",
    REPOSITORY / "projects" / "taught_foreground" / "README.md",
    REPOSITORY / "configs" / "ablations" / "README.md",
    *sorted(
        path
        for path in (REPOSITORY / "docs").rglob("*.md")
        if not {"_build", "generated"} & set(path.parts)
    ),
]
"""``projects/template`` is followed word by word in ``tests/tools/test_new_project.py``."""

SHELLS = ("bash", "console", "sh", "shell")
_MARK = re.compile(r"^<!-- (commands: (.*)|test command) -->$")
_PROGRAM = re.compile(r"^ {4,}(\$ )?(python|luss|pip|make|mim|tools/\w+\.sh)\s")


@dataclass(frozen=True)
class Block:
    """A fenced block of commands.

    Attributes:
        document: path relative to the repository.
        line: of its first command, from 1.
        mark: what the comment in front of it says; None without one.
        commands: joined lines, comments left out.
    """

    document: str
    line: int
    mark: str | None
    commands: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def blocks_of(text: str, document: str) -> list[Block]:
    """All command blocks of a document, in order."""
    lines, found = text.splitlines(), []
    start, mark, opened, language = None, None, "", ""
    for number, line in enumerate(lines):
        fence = re.match(r"^ *(`{3,})\s*\{?([\w-]*)", line)
        if start is not None:
            if line.strip() == opened:
                if language in SHELLS:
                    inside = lines[start + 1 : number]
                    found.append(Block(document, start + 2, mark, commands_in(inside)))
                start, mark = None, None
        elif fence:
            start, opened, language = number, fence[1], fence[2]
        elif match := _MARK.match(line):
            mark = match[2] or "run by .ci/run"
        elif line.strip():
            mark = None
    return found


def commands_in(lines: list[str]) -> tuple[str, ...]:
    """Continued lines joined, comments and empty lines left out."""
    joined = re.sub(r" *\\\n\s*", " ", "\n".join(lines)).splitlines()
    stripped = (line.removeprefix("$ ").strip() for line in joined)
    return tuple(line for line in stripped if line and not line.startswith("#"))


def unfenced_commands(text: str) -> list[str]:
    """Commands that stand in an indented block, where no mark can belong to them."""
    outside = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return [line.strip() for line in outside.splitlines() if _PROGRAM.match(line)]


def words_of(command: str) -> list[list[str]]:
    """The words of a command; several commands where ``&&`` joins them.

    Comments behind it and variables in front of it are left out.
    """
    parts: list[list[str]] = [[]]
    for word in shlex.split(command, comments=True):
        if word in ("&&", ";"):
            parts.append([])
        elif parts[-1] or not re.fullmatch(r"[A-Z_]+=\S*", word):
            parts[-1].append(word)
    return [part for part in parts if part]


def all_blocks() -> list[Block]:
    """Those of all documents."""
    found = []
    for path in DOCUMENTS:
        name = path.relative_to(REPOSITORY).as_posix()
        found += blocks_of(path.read_text(encoding="utf-8"), name)
    return found
