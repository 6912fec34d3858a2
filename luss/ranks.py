"""Cooperation of several processes."""

import contextlib
from collections.abc import Iterator
from typing import Any, TypeVar

from mmengine.dist import all_gather_object, broadcast_object_list, get_rank, get_world_size

from luss.errors import LussError

__all__ = ["fail_together", "main_process_decides", "own_share", "summed_over_ranks"]

T = TypeVar("T")


def main_process_decides(value: Any) -> Any:
    """Return the main process's value in every process."""
    values = [value]
    broadcast_object_list(values)
    return values[0]


def own_share(count: int) -> range:
    """Return the contiguous share of ``count`` items of this process."""
    rank, world = get_rank(), get_world_size()
    return range(rank * count // world, (rank + 1) * count // world)


def summed_over_ranks(part: T) -> T:
    """Return the sum over all ranks, by ``+=``; None is skipped."""
    total, *others = [part for part in all_gather_object(part) if part is not None]
    for other in others:
        total += other
    return total


@contextlib.contextmanager
def fail_together() -> Iterator[None]:
    """Raise in all processes if any process fails in the block.

    Otherwise, the other processes would wait forever at their next collective call. All processes
    must enter the block. They synchronise at its end, and must not do so within it.

    Raises:
        LussError: with all messages, if every failed process raised one.
        Exception: otherwise a process's own exception, and a RuntimeError in the processes that
            did not fail.
    """
    own: Exception | None = None
    try:
        yield
    except Exception as error:
        if get_world_size() == 1:
            raise
        own = error
    failures = [failure for failure in all_gather_object(_described(own)) if failure is not None]
    if not failures:
        return
    if own is not None and not isinstance(own, LussError):
        raise own
    messages = "\n".join(dict.fromkeys(message for _, message in failures))
    if all(is_user_error for is_user_error, _ in failures):
        raise LussError(messages) from own
    raise RuntimeError(f"another process failed: {messages}") from own


def _described(error: Exception | None) -> tuple[bool, str] | None:
    """Return whether an error is a `LussError`, and its message."""
    if error is None:
        return None
    if isinstance(error, LussError):
        return True, str(error)
    return False, f"{type(error).__name__}: {error}"
