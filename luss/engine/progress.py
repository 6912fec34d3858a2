"""Progress of a run: its stages, the passes of each, and the remaining time."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from mmengine.dist import is_main_process
from mmengine.logging import print_log

from luss.engine.status_line import current_status_line

__all__ = ["Pass", "Position", "Progress", "clock", "position"]

_SECONDS_BETWEEN_DRAWINGS = 0.2


@dataclass(frozen=True)
class Pass:
    """A finished loop.

    Attributes:
        what: name in the log.
        total: number of items.
        per_item: seconds per item, without the first step, in which worker processes start.
    """

    what: str
    total: int
    per_item: float


@dataclass
class Position:
    """Position in a run.

    Attributes:
        name: of the stage.
        place: number of the stage, from 1.
        stages: number of stages.
        expected: estimated seconds of this stage, if known.
        expected_after: estimated seconds of all later stages.
        passes: finished passes.
        start: start time of the stage, by ``time.monotonic``.
        seconds: duration of the stage, once it has ended.
    """

    name: str
    place: int
    stages: int
    expected: float | None = None
    expected_after: float = 0.0
    passes: list[Pass] = field(default_factory=list)
    start: float = field(default_factory=lambda: time.monotonic())
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"stage {self.place} of {self.stages}, {self.name}"

    def left(self, of_pass: float) -> float | None:
        """Return the remaining seconds of the run, given those of the pass; None if unknown."""
        if self.expected is None:
            return None
        return max(of_pass, self.expected - (time.monotonic() - self.start)) + self.expected_after


_positions: list[Position] = []


@contextlib.contextmanager
def position(where: Position) -> Iterator[Position]:
    """Set the position in the run that `Progress` shows within the block."""
    _positions.append(where)
    try:
        yield where
    finally:
        _positions.remove(where)
        where.seconds = time.monotonic() - where.start
        if line := current_status_line():
            line.clear()


class Progress:
    """Progress of a loop, shown in a terminal's status line, or logged every few seconds.

    Args:
        total: number of items, with those done before.
        what: name of the loop in the log.
        interval: seconds between log lines without a terminal.
        unit: plural name of the items.
        done: items done before.
    """

    def __init__(
        self,
        total: int,
        what: str,
        interval: float = 10.0,
        unit: str = "images",
        done: int = 0,
    ) -> None:
        self.total = total
        self.what = what
        self.interval = interval
        self.unit = unit
        self.done = self.before = done
        self.start = self.shown = time.monotonic()
        self._first: tuple[int, float] | None = None
        print_log(f"{what}: {total} {unit}", "current")

    def advance(self, count: int, note: str = "") -> None:
        """Count finished items.

        Args:
            count: of items.
            note: to show, such as the loss.
        """
        self.done += count
        now = time.monotonic()
        if self._first is None:
            self._first = self.done, now
        if self.done >= self.total:
            self._end(now)
            return
        line = current_status_line() if is_main_process() else None
        if now - self.shown < (_SECONDS_BETWEEN_DRAWINGS if line else self.interval):
            return
        self.shown = now
        text = self._text(now, note)
        if line:
            line.show(text)
        else:
            print_log(text, "current")

    def close(self) -> None:
        """Clear the terminal's status line."""
        if line := current_status_line():
            line.clear()

    def _text(self, now: float, note: str) -> str:
        left = self._per_item(now) * (self.total - self.done)
        where = _positions[-1] if _positions else None
        # The important part comes first: terminals may have only 80 columns.
        place = f"[{where.place}/{where.stages}] {where.name}: " if where else ""
        text = f"{place}{self.what} {100 * self.done // self.total} %, {clock(left)} left"
        of_run = where.left(left) if where else None
        if of_run is not None:
            text += f", run {clock(of_run)}"
        return f"{text}, {self.done}/{self.total} {self.unit}" + (f", {note}" if note else "")

    def _per_item(self, now: float) -> float:
        done, since = self.before, self.start
        if self._first is not None and self.done > self._first[0]:
            done, since = self._first
        return (now - since) / max(self.done - done, 1)

    def _end(self, now: float) -> None:
        self.close()
        seconds = now - self.start
        rate = (self.done - self.before) / max(seconds, 1e-9)
        print_log(
            f"{self.what} done: {self.total} {self.unit} in {clock(seconds)}, {rate:.1f} a second",
            "current",
        )
        if _positions:
            _positions[-1].passes.append(Pass(self.what, self.total, self._per_item(now)))


def clock(seconds: float) -> str:
    """Format seconds as '0:01:05'."""
    return str(timedelta(seconds=round(seconds)))
