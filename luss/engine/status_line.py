"""The last line of a terminal, which tells how far a run is and is rewritten."""

import logging
import shutil
from typing import TextIO

from mmengine.logging import MMLogger

__all__ = ["StatusLine", "current_status_line"]

_CLEAR = "\r\x1b[K"


class StatusLine:
    """A stream for a log's handler; what is written to it goes above the status.

    Bars of tqdm and rich hide the cursor or draw from threads, which neither a signal that ends the
    process at once nor the forks of data loaders go well with. The cursor waits at the beginning of
    the line, so that what others print replaces it.

    Args:
        stream: what the handler wrote to; without a terminal there is no status.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.shown = ""

    @property
    def on_terminal(self) -> bool:
        """Whether a line can be rewritten."""
        # Whoever captures what is printed may have closed the stream that an older log has.
        return not self.stream.closed and self.stream.isatty()

    def show(self, text: str) -> None:
        """Rewrite the status, cut to the terminal's width."""
        self.shown = text[: shutil.get_terminal_size().columns - 1]
        self._draw(self.shown)

    def clear(self) -> None:
        """Take the status away."""
        if self.shown:
            self.shown = ""
            self._draw("")

    def write(self, text: str) -> int:
        """Write whole lines above the status."""
        if self.shown:
            self.stream.write(_CLEAR)
        count = self.stream.write(text)
        if self.shown:
            self._draw(self.shown)
        return count

    def flush(self) -> None:
        """As of any stream."""
        self.stream.flush()

    def isatty(self) -> bool:
        """As of any stream."""
        return self.on_terminal

    def _draw(self, text: str) -> None:
        self.stream.write(f"{_CLEAR}{text}\r" if text else _CLEAR)
        self.stream.flush()


def current_status_line() -> StatusLine | None:
    """That of the current log; None if it has none, or writes to no terminal."""
    for handler in MMLogger.get_current_instance().handlers:
        stream = handler.stream if isinstance(handler, logging.StreamHandler) else None
        if isinstance(stream, StatusLine) and stream.on_terminal:
            return stream
    return None
