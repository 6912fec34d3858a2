"""The command ``tools/new_project.py``, and what the README of a new project says."""

import re
import shlex
from pathlib import Path

import pytest
from processes import run_command

from luss.errors import LussError
from luss.new_project import new_project

REPOSITORY = Path(__file__).resolve().parents[2]


def run(command, folder):
    """Run a line of a README as its reader would."""
    program, *arguments = shlex.split(command)
    assert program == "python"
    return run_command(*arguments, folder=folder)


def test_a_new_project_is_followed_word_by_word_in_an_empty_folder(tmp_path):
    made = run("python -m luss new_project my_method", tmp_path)
    assert made.returncode == 0, made.stderr
    readme = (tmp_path / "my_method" / "README.md").read_text()
    blocks = re.findall(r"```bash\n(.*?)```", readme, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert len(lines) == 2
    for line in lines:
        done = run(line, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    (page,) = re.findall(r"`(\S+index.html)`", readme)
    assert (tmp_path / page).is_file()
    # The last lines of the run name the next command, which works from any folder.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder = (tmp_path / page).parents[1]
    photo = next((folder / "data").rglob("train/*/*"))
    assert f"luss predict {folder.relative_to(tmp_path)}" in done.stdout
    after = run(f"python -m luss predict {folder} {photo} --out found --outputs masks", elsewhere)
    assert after.returncode == 0, after.stdout + after.stderr


def test_everything_is_named_after_the_project(tmp_path):
    folder = new_project("my_new_method", tmp_path)
    texts = [path.read_text() for path in folder.rglob("*") if path.is_file()]
    assert any("class MyNewMethodLoss" in text for text in texts)
    assert not any("template" in text.lower() for text in texts)
    assert (folder / "configs" / "my_new_method_quick.py").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["my_new_method"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my-method", "project name .* is invalid"),
        ("../up", "project name .* is invalid"),
        ("Mine", "project name .* is invalid"),
        ("class", "project name .* is invalid"),
        ("json", "is taken by .*json"),
        ("luss", "is taken by .*luss"),
        ("there", "already exists"),
    ],
)
def test_names_that_cannot_be(tmp_path, name, message):
    (tmp_path / "there").mkdir()
    with pytest.raises(LussError, match=message):
        new_project(name, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_every_project_has_what_the_policy_asks_for():
    listed = (REPOSITORY / "projects" / "README.md").read_text()
    folders = [path.parent for path in (REPOSITORY / "projects").glob("*/__init__.py")]
    assert {"example", "template"} <= {folder.name for folder in folders}
    for folder in folders:
        assert f"[`{folder.name}`]({folder.name})" in listed
        assert (folder / "README.md").is_file()
        # What is registered needs a config that shows it; a project may also be a command.
        registers = any("register_module" in path.read_text() for path in folder.glob("*.py"))
        assert list(folder.glob("configs/*.py")) or not registers
        assert list(folder.glob("tests/test_*.py"))


def test_nothing_in_luss_names_a_project():
    names = [path.parent.name for path in (REPOSITORY / "projects").glob("*/__init__.py")]
    imports = re.compile(rf"^\s*(from|import) ({'|'.join(names)}|projects)\b", re.MULTILINE)
    for path in (REPOSITORY / "luss").rglob("*.py"):
        assert not imports.search(path.read_text()), path
