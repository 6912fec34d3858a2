"""One process has a folder, the next one is told."""

import subprocess
import sys

import pytest

from luss.errors import LussError
from luss.folder_lock import LOCK, lock_folder

HOLD = (
    "import sys; from pathlib import Path; from luss.folder_lock import lock_folder\n"
    "with lock_folder(Path(sys.argv[1]), '--out'): print('held', flush=True); sys.stdin.read()"
)


def test_a_folder_is_refused_until_the_other_process_ends(tmp_path):
    folder = tmp_path / "out"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLD, folder], **pipes, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(LussError, match=r"another process is working in .*another --out"),
            lock_folder(folder, "--out"),
        ):
            pytest.fail("two processes have the folder")
        other.kill()
    with lock_folder(folder, "--out"):
        assert [entry.name for entry in folder.iterdir()] == [LOCK]


def test_an_error_within_is_not_taken_for_a_held_lock(tmp_path):
    with pytest.raises(BlockingIOError), lock_folder(tmp_path, "--out"):
        raise BlockingIOError("of something else")


def test_files_and_links_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LussError, match=r"--out .*file: it is a file, expected a folder"):
        lock_folder(tmp_path / "file", "--out").__enter__()
    (tmp_path / LOCK).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LussError, match="is a link, expected a file"):
        lock_folder(tmp_path, "--out").__enter__()
    assert not (tmp_path / "elsewhere").exists()
