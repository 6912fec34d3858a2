"""Status line: the last line of a terminal, which shows the progress of a run."""

import logging
import shutil
from typing import TextIO

from mmengine.logging import MMLogger

__all__ = ["StatusLine", "current_status_line"]

_CLEAR = "\r\x1b[K"


class StatusLine:
    """A stream for a log handler that writes above the status line.

    tqdm and rich hide the cursor or draw from threads, which conflicts with immediate exits on
    signals and with forks of data loaders. The cursor stays at the start of the line, so that
    other output overwrites it.

    Args:
        stream: of the handler; there is no status line without a terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.shown = ""

    @property
    def on_terminal(self) -> bool:
        """Whether the stream is a terminal."""
        # A test runner may have closed the captured stream of an older log.
        return not self.stream.closed and self.stream.isatty()

    def show(self, text: str) -> None:
        """Show the status, truncated to the terminal's width."""
        self.shown = text[: shutil.get_terminal_size().columns - 1]
        self._draw(self.shown)

    def clear(self) -> None:
        """Clear the status."""
        if self.shown:
            self.shown = ""
            self._draw("")

    def write(self, text: str) -> int:
        """Write complete lines above the status."""
        if self.shown:
            self.stream.write(_CLEAR)
        count = self.stream.write(text)
        if self.shown:
            self._draw(self.shown)
        return count

    def flush(self) -> None:
        """Flush the stream."""
        self.stream.flush()

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        return self.on_terminal

    def _draw(self, text: str) -> None:
        self.stream.write(f"{_CLEAR}{text}\r" if text else _CLEAR)
        self.stream.flush()


def current_status_line() -> StatusLine | None:
    """Return the status line of the current log; None without a terminal."""
    for handler in MMLogger.get_current_instance().handlers:
        stream = handler.stream if isinstance(handler, logging.StreamHandler) else None
        if isinstance(stream, StatusLine) and stream.on_terminal:
            return stream
    return None
