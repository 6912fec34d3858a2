"""How the command lines end."""

import contextlib
import signal
import sys
from collections.abc import Iterator

from luss.errors import LussError

__all__ = ["exit_cleanly"]


@contextlib.contextmanager
def exit_cleanly() -> Iterator[None]:
    """End a command line with one clear message and the right exit code.

    2 for what the user can mend, 128 + number for a signal, 1 for a failing disk. Any other
    exception is a fault of ours and keeps its traceback.
    """
    signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    except LussError as error:
        _end(f"error: {error}", 2)
    except KeyboardInterrupt:
        _end("interrupted; --resume goes on from the last checkpoint", 128 + signal.SIGINT)
    except OSError as error:
        if error.errno is None or (error.filename is None and "space" not in str(error)):
            raise
        _end(f"error: {error}; what was written before is whole", 1)


def _stop(number: int, frame) -> None:
    raise SystemExit(128 + number)


def _end(message: str, code: int) -> None:
    print(message, file=sys.stderr, flush=True)
    raise SystemExit(code)
