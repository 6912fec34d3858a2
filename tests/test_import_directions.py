"""Imports go one way: downwards in ARCHITECTURE.md's table of rooms."""

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
TABLE = re.findall(r"^\| `(luss/.*?)/?` \|", (REPOSITORY / "ARCHITECTURE.md").read_text(), re.M)
BASE = "luss/*.py"
ENTRANCE = REPOSITORY / "luss" / "__main__.py"
"""``python -m luss`` stands beside the lowest room and calls the highest."""
MODULES = sorted(set((REPOSITORY / "luss").rglob("*.py")) - {ENTRANCE})


def room_of(*parts):
    """The room of a module, by the parts of its name."""
    package = REPOSITORY.joinpath(*parts[:2])
    return "/".join(parts[:2]) if len(parts) > 1 and package.is_dir() else BASE


def imported(path):
    """The modules of luss that a file imports, within functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide their direction"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == "luss")


def test_the_table_has_all_rooms():
    rooms = {room_of(*path.relative_to(REPOSITORY).with_suffix("").parts) for path in MODULES}
    assert rooms == set(TABLE)


@pytest.mark.parametrize("room", TABLE)
def test_a_room_imports_nothing_from_above(room):
    above = TABLE[: TABLE.index(room)]
    for path in MODULES:
        if room_of(*path.relative_to(REPOSITORY).with_suffix("").parts) == room:
            for name in imported(path):
                assert room_of(*name.split(".")) not in above, f"{path} imports {name}"
