"""torchrun with short error messages: ``python -m luss.launcher``, see ``tools/dist_*.sh``.

The arguments are torchrun's. The launcher prints each error of its processes once, without
torchrun's traceback.
"""

import logging
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from luss.command_line import ADVICE_ON_KILLED, LAUNCHED

__all__ = ["main"]

_NO_MESSAGE = "<NONE>"
"""torchrun's message for a process without an error file."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Start the processes and wait for them.

    Args:
        arguments: of torchrun; by default those of this process.

    Returns:
        The exit code: that of the first process that failed, or 128 + the number of a signal.
    """
    os.environ[LAUNCHED] = "1"
    # torchrun logs each process that it stops.
    logging.disable(logging.ERROR)
    # torchrun and MMEngine set the same value, but with a warning.
    for library in ("OMP", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import get_args_parser, run

    options = get_args_parser().parse_args(arguments)
    try:
        run(options)
    except ChildFailedError as error:
        return _report(error.failures.values())
    except SignalException as error:
        name = signal.Signals(error.sigval).name
        advice = "run the same command again (for training, with --resume)"
        print(f"stopped by {name}; {advice}", file=sys.stderr)
        return 128 + error.sigval
    except RuntimeError as error:
        if "EADDRINUSE" not in str(error) and "in use" not in str(error):
            raise
        port = options.master_port
        print(
            f"error: port {port} is in use, for instance by another distributed run; choose "
            f"another one, such as PORT={int(port) + 1} before the command",
            file=sys.stderr,
        )
        return 2
    return 0


def _report(failures: Iterable[Any]) -> int:
    """Print each error once, or the exit code if there is none; return the exit code."""
    # torchrun stops the other processes with SIGTERM.
    ended = (-signal.SIGTERM, 128 + signal.SIGTERM)
    failures = sorted(failures, key=lambda failure: (failure.exitcode in ended, failure.timestamp))
    messages = [failure.error_file_data["message"] for failure in failures]
    for message in dict.fromkeys(messages):
        if message != _NO_MESSAGE:
            print(message.rstrip(), file=sys.stderr)
    code = failures[0].exitcode
    if set(messages) == {_NO_MESSAGE}:
        how = f"with exit code {code}"
        if code < 0:
            how = f"by {signal.Signals(-code).name}{ADVICE_ON_KILLED}"
        print(f"error: process {failures[0].local_rank} ended {how}", file=sys.stderr)
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(main())
