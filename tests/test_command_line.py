"""How command lines end."""

import errno
import os
import signal

import pytest

from luss.command_line import exit_cleanly


@pytest.fixture(autouse=True)
def _signals():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EDQUOT])
def test_advice_follows_from_why_a_file_cannot_be_written(capsys, number):
    with pytest.raises(SystemExit) as ended, exit_cleanly():
        raise OSError(number, os.strerror(number), "/of/somebody/file")
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: /of/somebody/file: {os.strerror(number)}")
    # Disk space and --resume are no help where this user may not write.
    full = number in (errno.ENOSPC, errno.EDQUOT)
    assert ("disk space" in said, "--resume" in said) == (full, full)
