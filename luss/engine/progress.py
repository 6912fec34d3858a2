"""How far a run is: its stages, the passes of each, and the time that is left."""

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
    """A loop that has ended.

    Attributes:
        what: it was about.
        total: items.
        per_item: seconds an item, without the first step, in which processes start.
    """

    what: str
    total: int
    per_item: float


@dataclass
class Position:
    """Where a run is.

    Attributes:
        name: of the stage.
        place: of the stage, from 1.
        stages: their number.
        expected: seconds that this stage will take, if that is known.
        expected_after: seconds that all later ones will take.
        passes: that have ended.
        start: when it began, by ``time.monotonic``.
        seconds: that it took, once it has ended.
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
        """Seconds until the run's end, given those of the pass; None if nobody knows."""
        if self.expected is None:
            return None
        return max(of_pass, self.expected - (time.monotonic() - self.start)) + self.expected_after


_positions: list[Position] = []


@contextlib.contextmanager
def position(where: Position) -> Iterator[Position]:
    """Let what goes on meanwhile say where in the run it is."""
    _positions.append(where)
    try:
        yield where
    finally:
        _positions.remove(where)
        where.seconds = time.monotonic() - where.start
        if line := current_status_line():
            line.clear()


class Progress:
    """Tells how far a loop is: in a terminal's last line, or else in a line every few seconds.

    Args:
        total: items to come, those that were done before included.
        what: the loop is about.
        interval: seconds between lines where there is no terminal.
        unit: what an item is called, in the plural.
        done: items that were done before.
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
        """Note that ``count`` more items are done.

        Args:
            count: of items.
            note: to be shown beside, such as the loss.
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
        """Take a terminal's line away."""
        if line := current_status_line():
            line.clear()

    def _text(self, now: float, note: str) -> str:
        left = self._per_item(now) * (self.total - self.done)
        where = _positions[-1] if _positions else None
        # What matters comes first: terminals may have but 80 columns.
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
    """'0:01:05'."""
    return str(timedelta(seconds=round(seconds)))
