"""What the command lines share: arguments of runs, and how they end."""

import argparse
import contextlib
import errno
import json
import logging
import os
import re
import select
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from luss.errors import LussError
from luss.files import output_folder, remove_temporary_folders

__all__ = [
    "ADVICE_ON_KILLED",
    "LAUNCHED",
    "add_config_arguments",
    "add_run_arguments",
    "chosen_work_dir",
    "exit_cleanly",
    "hide_library_warnings",
    "leave_on_signals",
]

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
_ACCESS = {errno.EROFS, errno.EACCES, errno.EPERM}

LAUNCHED = "LUSS_LAUNCHED"
"""Environment variable of processes that leave errors to `luss.launcher`, which prints them."""

ADVICE_ON_KILLED = (
    ", usually because memory ran out; lower num_workers or the batch size, or free memory, then "
    "run the same command (of training, with --resume) again"
)

_KILLED_LOADER = re.compile(
    r"DataLoader worker \(pid.*?\) (exited unexpectedly|is killed by signal: [\w ]+)"
)

_LIBRARY_WARNINGS = (
    # mmseg's heads call a function that mmseg deprecates.
    "``build_loss``",
    # Fine-tuning has a class for 'other' and one for each category, also if there is one category.
    "For binary segmentation",
    # Names of folders appear in plots; pages and tables show their characters.
    r"Glyph \d+ .*missing from",
)


def hide_library_warnings() -> None:
    """Hide warnings of libraries that the user cannot act on, in this process and its workers.

    OpenCV reads its log level when it is imported. Damaged images raise errors that name the file.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    for message in _LIBRARY_WARNINGS:
        warnings.filterwarnings("ignore", message=message)


def chosen_work_dir(args: argparse.Namespace, config: Mapping[str, Any]) -> str:
    """Return the work dir of a command: its option, the config's, or one named after the config.

    Args:
        args: with ``work_dir`` and ``config``, the path of the file.
        config: as read from it.

    Raises:
        LussError: if the folder cannot be written.
    """
    chosen = args.work_dir or config.get("work_dir") or f"work_dirs/{Path(args.config).stem}"
    output_folder(chosen, "--work-dir")
    return chosen


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what training and testing a run have in common: config, work dir, options, launcher."""
    add_config_arguments(parser)
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    # torchrun may pass either spelling.
    parser.add_argument("--local-rank", "--local_rank", type=int, default=0)


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add config, work dir and options."""
    # Loads MMEngine, which other tools do without.
    from luss.configuration import ConfigOptions

    parser.add_argument("config", help="path of a config file")
    parser.add_argument("--work-dir", help="folder of the run (default: work_dirs/<config name>)")
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=ConfigOptions,
        metavar="KEY=VALUE",
        help="settings that override the config's, such as data_root=DIR "
        "stages.pretrain.train_cfg.max_epochs=10",
    )


@contextlib.contextmanager
def exit_cleanly() -> Iterator[None]:
    """End a command line with one clear message and the right exit code.

    2 for what the user can mend, 128 + number for a signal, 1 for a failing disk and a killed
    loader of data. Where the reader of the output is gone, as after ``| head``, there is no
    message. Any other exception is a fault of ours and keeps its traceback.
    """
    signal.signal(signal.SIGTERM, _stop)
    hide_library_warnings()
    # Of a closed pipe, logging would print a traceback for each line.
    logging.raiseExceptions = False
    try:
        try:
            yield
        finally:
            # What is still buffered would fail where nobody can handle it.
            sys.stdout.flush()
    except KeyboardInterrupt:
        _end("interrupted", 128 + signal.SIGINT)
    except _Terminated:
        _end("terminated", 128 + signal.SIGTERM)
    except SystemExit as stop:
        if isinstance(stop.code, int) and stop.code > 128:
            # Data loaders would wait for their workers and complain of the signal, too.
            sys.stdout.flush()
            os._exit(stop.code)
        raise
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _is_closed(sys.stdout):
            _end_silently()
        explained = _explain(error)
        if explained is None and LAUNCHED not in os.environ:
            raise
        _end(*(explained or (traceback.format_exc(), 1)))


def leave_on_signals(advice: str = "--resume goes on from what is whole") -> None:
    """From now on, exit at once on Ctrl-C and SIGTERM.

    For programs whose files are whole at any time. An exception is no way to stop those that load
    data: it gets lost where a process is forked, and workers are stopped loudly. They end by
    themselves when this process is gone.

    Args:
        advice: how to go on, to be said then.
    """
    own = os.getpid()

    def leave(number: int, frame) -> None:
        if os.getpid() == own and LAUNCHED not in os.environ:
            # Unlike print, this may interrupt any other output.
            if os.isatty(2):
                # The line that says how far the run is.
                os.write(2, b"\r\x1b[K")
            name = signal.Signals(number).name
            os.write(2, f"stopped by {name}; {advice}\n".encode())
        if os.getpid() == own:
            remove_temporary_folders()
        os._exit(128 + number)

    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGTERM, leave)


class _Terminated(BaseException):
    """SIGTERM has come."""


def _stop(number: int, frame) -> None:
    raise _Terminated


def _explain(error: Exception) -> tuple[str, int] | None:
    """Return message and exit code of an error that the user can do something about."""
    if isinstance(error, LussError):
        return f"error: {_message(error)}", 2
    if killed := _KILLED_LOADER.search(str(error)):
        return f"error: a process that loads data was killed ({killed[0]}){ADVICE_ON_KILLED}", 1
    if not isinstance(error, OSError) or error.errno not in _DISK | _ACCESS:
        return None
    name = f"{error.filename}: " if error.filename else ""
    if error.errno in _ACCESS:
        mend = "make it accessible to this user, or choose another folder"
    else:
        mend = (
            "files written so far are intact; free disk space, then run the same command (of "
            "training, with --resume) again"
        )
    return f"error: {name}{error.strerror}; {mend}", 1


def _message(error: LussError) -> str:
    """What the error says, without the traceback that PyTorch adds to a data loader's errors."""
    text = str(error)
    if "in DataLoader worker process" not in text:
        return text
    kind = type(error)
    return text.rpartition(f"{kind.__module__}.{kind.__qualname__}: ")[2].strip()


def _is_closed(stream: TextIO) -> bool:
    """Return whether a stream is a pipe that nobody reads any more."""
    poll = select.poll()
    poll.register(stream.fileno(), 0)
    return any(events & select.POLLERR for _, events in poll.poll(0))


def _end_silently() -> None:
    # The interpreter would write what is still buffered, and complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(128 + signal.SIGPIPE)


def _end(message: str, code: int) -> None:
    path = os.environ.get("TORCHELASTIC_ERROR_FILE") if LAUNCHED in os.environ else None
    if path is None:
        print(message, file=sys.stderr, flush=True)
    else:
        content = {"message": message, "timestamp": int(time.time())}
        Path(path).write_text(json.dumps(content), encoding="utf-8")
    raise SystemExit(code)
