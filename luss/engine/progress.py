"""How far a long loop is, and how long it will take."""

import time
from datetime import timedelta

from mmengine.logging import print_log

__all__ = ["Progress"]


class Progress:
    """Logs counts and the time that is left, every few seconds.

    Lines instead of a bar, so that they read as well in a file or beside other processes' output.

    Args:
        total: items to come.
        what: they are.
        interval: seconds between lines.
    """

    def __init__(self, total: int, what: str, interval: float = 10.0) -> None:
        self.total = total
        self.what = what
        self.interval = interval
        self.done = 0
        self.start = self.shown = time.monotonic()
        print_log(f"{what}: {total} images", "current")

    def advance(self, count: int) -> None:
        """Note that ``count`` more items are done."""
        self.done += count
        now = time.monotonic()
        if now - self.shown < self.interval and self.done < self.total:
            return
        self.shown = now
        seconds = now - self.start
        left = seconds / self.done * (self.total - self.done)
        print_log(
            f"{self.what}: {self.done}/{self.total}  eta: {timedelta(seconds=round(left))}  "
            f"{self.done / max(seconds, 1e-9):.1f} images/s",
            "current",
        )
