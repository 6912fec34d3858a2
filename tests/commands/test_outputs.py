"""Every command checks what it will write before any work, and rejects it with one message."""

import os
import signal
import sys
from pathlib import Path

import pytest

from luss.commands import COMMANDS, main
from luss.errors import LussError
from luss.files import output_file, output_folder

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = REPOSITORY / "configs" / "pass" / "pass_s_demo.py"
FOLDERS = [
    "analyze-foreground CONFIG --work-dir OUT",
    "compare-runs nothing --out OUT",
    "dataset-stats nothing --out OUT",
    "features nothing --backbone dinov2_vits14 --weights nothing --out OUT",
    "make-demo-data OUT",
    "name-categories OUT",
    "new-project my_project --out OUT",
    "predict nothing nothing --out OUT",
    "prepare-imagenet-s --imagenet nothing --lists nothing --out OUT",
    "print-config CONFIG --out OUT",
    "print-config CONFIG --work-dir OUT",
    "run CONFIG --work-dir OUT",
    "sweep CONFIG --work-dir OUT",
    "test CONFIG --work-dir OUT",
    "test CONFIG --work-dir fine --show-dir OUT",
    "train nothing --work-dir OUT",
]
FILES = [
    "convert-checkpoint nothing --to luss --out OUT",
    "evaluate --pred nothing --gt nothing --out OUT",
    "export nothing --out OUT",
    "make-submission --pred nothing --num-classes 50 --method-name x --training-data x "
    "--training-scheme SSL --networks x --out OUT",
]
WRITE_NOTHING = {"backbones", "check"}


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Function from a command and what it shall write to the exit code and the error."""
    monkeypatch.chdir(tmp_path)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(command, out):
        named = {"CONFIG": str(CONFIG), "OUT": str(out)}
        arguments = [named.get(word, word) for word in command.split()]
        monkeypatch.setattr(sys, "argv", ["luss", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, capsys.readouterr().err

    yield run
    for number, handler in before.items():
        signal.signal(number, handler)


def hindrances(folder):
    """Reason -> a path that neither a file nor a folder can be written to."""
    (folder / "file").write_text("mine")
    (folder / "link").symlink_to(folder / "gone")
    return {
        "file": folder / "file" / "below",
        "link": folder / "link" / "below",
        "File name too long": folder / "new" / ("n" * 256),
        # Not even root can create one there.
        "No such file or directory": Path("/proc/self/fd/new"),
    }


def test_no_command_is_left_out():
    named = {command.split()[0] for command in FOLDERS + FILES}
    assert named | WRITE_NOTHING == set(COMMANDS)


@pytest.mark.parametrize("command", FOLDERS + FILES)
def test_what_cannot_be_written_is_rejected_first(call, tmp_path, command):
    bad = hindrances(tmp_path)
    if command in FOLDERS:
        bad["it is a file"] = tmp_path / "file"
    else:
        bad["it is a folder"] = tmp_path
    listed = sorted(tmp_path.rglob("*"))
    for reason, path in bad.items():
        code, said = call(command, path)
        error = said.splitlines()[-1]
        assert (code, said.count("Traceback")) == (2, 0), said
        assert error.startswith("error: cannot write to ")
        assert f"{path}: " in error
        assert reason in error
    assert sorted(tmp_path.rglob("*")) == listed


@pytest.mark.parametrize("command", FILES)
def test_a_file_is_replaced_by_force_only(call, tmp_path, command):
    path = tmp_path / "mine"
    path.write_text("mine")
    code, said = call(command, path)
    assert code == 2
    assert f"--out {path} exists" in said
    assert "--force" in said
    code, said = call(f"{command} --force", path)
    assert "exists;" not in said
    assert path.read_text() == "mine"


@pytest.mark.parametrize("out", ["new", "new/below", "there", "../there", "~/new", "."])
def test_what_can_be_written_passes_and_is_not_created(tmp_path, monkeypatch, out):
    folder = tmp_path / "there"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "there"))
    expected = Path(out).expanduser()
    assert output_folder(out, "--out") == expected
    assert output_file(f"{out}/file", "--out") == expected / "file"
    assert list(folder.iterdir()) == []


def test_devices_and_pipes_are_never_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LussError, match=r"pipe: it is not a regular file"):
        output_file(tmp_path / "pipe", "--out", replace=True)
