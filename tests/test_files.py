"""Files are written whole or not at all."""

import errno
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from luss.errors import LussError
from luss.files import (
    UNFINISHED,
    atomic_write,
    is_system_name,
    read_arrays,
    read_json,
    remove_unfinished,
    write_json,
)


def test_a_file_appears_whole(tmp_path):
    path = tmp_path / "new" / "file"
    with atomic_write(path) as file:
        file.write(b"half")
        file.flush()
        assert not path.exists()
        file.write(b" and half")
    assert path.read_bytes() == b"half and half"


def test_an_error_keeps_what_was_there(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), atomic_write(path) as file:
        file.write(b"new")
        raise KeyError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_longest_name_can_be_written(tmp_path):
    path = tmp_path / ("n" * 251 + ".png")
    with atomic_write(path) as file:
        file.write(b"mask")
    assert path.read_bytes() == b"mask"


def test_mode_follows_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_json(tmp_path / "file", [])
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_failing_disk_names_the_file(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as error:
        write_json(tmp_path / "file", {})
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(tmp_path / "file"))


def test_no_json_that_others_cannot_read(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "file", {"loss": float("nan")})
    assert not list(tmp_path.iterdir())
    write_json(tmp_path / "file", {"loss": 1.5, "names": ["a"]})
    assert json.loads((tmp_path / "file").read_text()) == {"loss": 1.5, "names": ["a"]}


def test_a_signal_deletes_temporary_folders(tmp_path):
    code = (
        "import os, signal; from luss.command_line import leave_on_signals\n"
        "from luss.files import temporary_folder; leave_on_signals()\n"
        f"with temporary_folder({str(tmp_path)!r}) as folder:\n"
        "    open(f'{folder}/file', 'w').close(); os.kill(os.getpid(), signal.SIGINT)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 130
    assert not list(tmp_path.iterdir())


def test_a_killed_process_leaves_a_temporary_folder_that_is_removed_later(tmp_path):
    code = (
        "import os; from luss.files import temporary_folder\n"
        f"with temporary_folder({str(tmp_path)!r}) as folder:\n"
        "    open(f'{folder}/file', 'w').close(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert len(list(tmp_path.iterdir())) == 1
    remove_unfinished(tmp_path)
    assert not list(tmp_path.iterdir())


def test_only_leftovers_are_removed(tmp_path):
    keep = [tmp_path / "a" / "file", tmp_path / f"file{UNFINISHED}"]
    (tmp_path / "a").mkdir()
    left = tmp_path / "a" / f".file.x1{UNFINISHED}"
    for path in [*keep, left]:
        path.touch()
    remove_unfinished(tmp_path)
    assert not left.exists()
    assert all(path.exists() for path in keep)


def test_json_comes_back(tmp_path):
    content = {"a": [1, 2.5, None], "b": {"c": "d"}}
    write_json(tmp_path / "file", content)
    assert read_json(tmp_path / "file") == content


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b'{"a": 1', "damaged or not JSON"),
        (b"\xff\xfe\x00{", "damaged or not JSON"),
        (b'{"a": 1, "b": {"c": 2, "c": 2}}', "'c' occurs twice"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": ' + 100_000 * b"[" + 100_000 * b"]" + b"}", "nested too deeply"),
        (b"[1]", "a JSON list, expected an object"),
    ],
)
def test_json_is_read_strictly(tmp_path, content, complaint):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(LussError, match=complaint) as error:
        read_json(tmp_path / "file")
    assert str(tmp_path / "file") in str(error.value)


def test_json_that_is_missing(tmp_path):
    with pytest.raises(LussError, match=r"cannot read .*file: No such file"):
        read_json(tmp_path / "file")


def test_arrays_come_back_and_damage_is_named(tmp_path):
    path = tmp_path / "arrays.npz"
    np.savez(path, a=np.arange(3), b=np.ones((2, 2)))
    a, b = read_arrays(path, "a", "b")
    assert (a.tolist(), b.shape) == ([0, 1, 2], (2, 2))
    content = path.read_bytes()
    with pytest.raises(LussError, match=rf"cannot read c from {path}"):
        read_arrays(path, "c")
    for damaged in (b"", content[:100], content[:-30], content.replace(b"NUMPY", b"numpy"), b"[]"):
        path.write_bytes(damaged)
        with pytest.raises(LussError, match=rf"cannot read a from {path}.* --resume"):
            read_arrays(path, "a")
    with pytest.raises(LussError, match=r"cannot read a from .*gone"):
        read_arrays(tmp_path / "gone", "a")


@pytest.mark.parametrize("name", [".thumbnails", "__MACOSX", "@eaDir", "@EADIR", "Thumbs.db"])
def test_names_that_systems_add(name):
    assert is_system_name(name)


@pytest.mark.parametrize("name", ["n01440764", "thumbs", "MACOSX", "a.b", "eaDir"])
def test_names_that_people_give(name):
    assert not is_system_name(name)
