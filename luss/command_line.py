"""Shared by the command lines: arguments of runs, errors, signals and exit codes."""

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
    "add_backbone",
    "add_config_arguments",
    "add_finished_run",
    "add_options",
    "add_run_arguments",
    "chosen_work_dir",
    "exit_cleanly",
    "hide_library_warnings",
    "leave_on_signals",
]

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
_ACCESS = {errno.EROFS, errno.EACCES, errno.EPERM}

LAUNCHED = "LUSS_LAUNCHED"
"""Environment variable of processes whose errors `luss.launcher` prints."""

ADVICE_ON_KILLED = (
    ", usually because memory ran out; lower num_workers or the batch size, or free memory, then "
    "run the same command again (for training, with --resume)"
)

_KILLED_LOADER = re.compile(
    r"DataLoader worker \(pid.*?\) (exited unexpectedly|is killed by signal: [\w ]+)"
)

_LIBRARY_WARNINGS = (
    # mmseg's heads call a deprecated function of mmseg.
    "``build_loss``",
    # With one category, fine-tuning has two classes: 'other' and the category.
    "For binary segmentation",
    # Plots may lack glyphs of folder names; pages and tables show them.
    r"Glyph \d+ .*missing from",
)


def hide_library_warnings() -> None:
    """Hide library warnings that users cannot act on, in this process and its workers.

    Call this before importing OpenCV, which reads its log level on import.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    for message in _LIBRARY_WARNINGS:
        warnings.filterwarnings("ignore", message=message)


def add_backbone(parser: argparse.ArgumentParser) -> None:
    """Add the pretrained backbone and its weight file."""
    parser.add_argument(
        "--backbone",
        metavar="NAME",
        help="use a pretrained backbone, of which nothing is trained without --tune; luss "
        "backbones lists the names (default: train a small ResNet)",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="weight file of the pretrained backbone; 'hub' lets timm download its own",
    )
    segmentor = parser.add_mutually_exclusive_group()
    segmentor.add_argument(
        "--no-finetune",
        dest="finetune",
        action="store_false",
        help="train nothing: with --backbone, segment by the nearest centroid of the backbone's "
        "features",
    )
    segmentor.add_argument(
        "--tune",
        action="store_true",
        help="train the pretrained backbone in fine-tuning, which takes longer",
    )


def chosen_work_dir(args: argparse.Namespace, config: Mapping[str, Any]) -> str:
    """Return the work dir of a command: ``--work-dir``, the config's, or the config's name.

    Args:
        args: with ``work_dir`` and ``config``, the path of the file.
        config: as read from the file.

    Raises:
        LussError: if the folder is not writable.
    """
    chosen = args.work_dir or config.get("work_dir") or f"work_dirs/{Path(args.config).stem}"
    output_folder(chosen, "--work-dir")
    return chosen


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of training and testing: config, work dir, options, launcher."""
    add_config_arguments(parser)
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    # torchrun passes either spelling.
    parser.add_argument("--local-rank", "--local_rank", type=int, default=0)


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add config, work dir and options."""
    parser.add_argument("config", help="path of a config file")
    parser.add_argument("--work-dir", help="folder of the run (default: work_dirs/<config name>)")
    add_options(
        parser,
        "override settings of the config, such as data_root=DIR "
        "stages.pretrain.train_cfg.max_epochs=10",
    )


def add_options(parser: argparse.ArgumentParser, description: str) -> None:
    """Add ``--cfg-options`` with this description."""
    # Imports MMEngine, which other commands do not need.
    from luss.configuration import ConfigOptions

    parser.add_argument(
        "--cfg-options", nargs="+", action=ConfigOptions, metavar="KEY=VALUE", help=description
    )


def add_finished_run(parser: argparse.ArgumentParser) -> None:
    """Add the work dir or checkpoint of a finished run, and its config."""
    parser.add_argument("model", metavar="RUN", help="work dir of a finished run, or a checkpoint")
    parser.add_argument(
        "--config", help="config of the run, for a checkpoint outside of its work dir"
    )


@contextlib.contextmanager
def exit_cleanly() -> Iterator[None]:
    """End a command line with one clear message and the right exit code.

    Exit codes: 2 for user errors, 128 + number for a signal, 1 for disk errors and killed data
    loaders. If the output pipe is closed, as by ``| head``, nothing is printed. Other exceptions
    are bugs and keep their traceback.
    """
    signal.signal(signal.SIGTERM, _stop)
    hide_library_warnings()
    # logging would print a traceback for each line to a closed pipe.
    logging.raiseExceptions = False
    try:
        try:
            yield
        finally:
            # A failing flush at interpreter exit could not be handled.
            sys.stdout.flush()
    except KeyboardInterrupt:
        _end("interrupted", 128 + signal.SIGINT)
    except _Terminated:
        _end("terminated", 128 + signal.SIGTERM)
    except SystemExit as stop:
        if isinstance(stop.code, int) and stop.code > 128:
            # Skip the cleanup of data loaders, which would wait and log the signal, too.
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


def leave_on_signals(advice: str = "run the same command with --resume to continue") -> None:
    """Exit immediately on Ctrl-C and SIGTERM from now on.

    For programs whose files are complete at any time. An exception would get lost while a data
    loader forks, and workers would log errors; workers end when this process ends.

    Args:
        advice: how to continue, printed on a signal.
    """
    own = os.getpid()

    def leave(number: int, frame) -> None:
        if os.getpid() == own and LAUNCHED not in os.environ:
            # Unlike print, os.write may interrupt any other output.
            if os.isatty(2):
                # Clear the status line.
                os.write(2, b"\r\x1b[K")
            name = signal.Signals(number).name
            os.write(2, f"stopped by {name}; {advice}\n".encode())
        if os.getpid() == own:
            remove_temporary_folders()
        os._exit(128 + number)

    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGTERM, leave)


class _Terminated(BaseException):
    """Raised on SIGTERM."""


def _stop(number: int, frame) -> None:
    raise _Terminated


def _explain(error: Exception) -> tuple[str, int] | None:
    """Return message and exit code of a user, disk or memory error; None for others."""
    if isinstance(error, LussError):
        return f"error: {_message(error)}", 2
    if killed := _KILLED_LOADER.search(str(error)):
        return f"error: a process that loads data was killed ({killed[0]}){ADVICE_ON_KILLED}", 1
    if not isinstance(error, OSError) or error.errno not in _DISK | _ACCESS:
        return None
    name = f"{error.filename}: " if error.filename else ""
    if error.errno in _ACCESS:
        advice = "make it accessible to this user, or choose another folder"
    else:
        advice = (
            "files written so far are intact. Free disk space, then run the same command again "
            "(for training, with --resume)"
        )
    return f"error: {name}{error.strerror}; {advice}", 1


def _message(error: LussError) -> str:
    """Return the message, without the traceback that PyTorch adds to errors of data loaders."""
    text = str(error)
    if "in DataLoader worker process" not in text:
        return text
    kind = type(error)
    return text.rpartition(f"{kind.__module__}.{kind.__qualname__}: ")[2].strip()


def _is_closed(stream: TextIO) -> bool:
    """Return whether a stream is a pipe whose reader has closed it."""
    poll = select.poll()
    poll.register(stream.fileno(), 0)
    return any(events & select.POLLERR for _, events in poll.poll(0))


def _end_silently() -> None:
    # The interpreter would report an error when it flushes the closed pipe.
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
