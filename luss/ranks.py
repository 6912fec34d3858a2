"""What several processes do together."""

import contextlib
from collections.abc import Iterator
from typing import Any, TypeVar

from mmengine.dist import all_gather_object, broadcast_object_list, get_rank, get_world_size

from luss.errors import LussError

__all__ = ["fail_together", "main_process_decides", "own_share", "summed_over_ranks"]

T = TypeVar("T")


def main_process_decides(value: Any) -> Any:
    """Give every process the value that the main process has."""
    values = [value]
    broadcast_object_list(values)
    return values[0]


def own_share(count: int) -> range:
    """The contiguous share of ``count`` items that this process works on."""
    rank, world = get_rank(), get_world_size()
    return range(rank * count // world, (rank + 1) * count // world)


def summed_over_ranks(part: T) -> T:
    """Sum over all ranks of what adds up with ``+=``, such as counts; None counts as nothing."""
    total, *others = [part for part in all_gather_object(part) if part is not None]
    for other in others:
        total += other
    return total


@contextlib.contextmanager
def fail_together() -> Iterator[None]:
    """Do a process's share of some work; if any process fails in it, all of them raise.

    A process that fails alone would leave the others waiting for it where they meet next. All
    processes must enter the block. They wait for each other at its end, hence not within it.

    Raises:
        LussError: with the messages of all that failed, if each of them raised one.
        Exception: else a process's own, and a RuntimeError in those that did not fail.
    """
    own: Exception | None = None
    try:
        yield
    except Exception as error:
        if get_world_size() == 1:
            raise
        own = error
    failures = [failure for failure in all_gather_object(_told(own)) if failure is not None]
    if not failures:
        return
    if own is not None and not isinstance(own, LussError):
        raise own
    messages = "\n".join(dict.fromkeys(message for _, message in failures))
    if all(for_people for for_people, _ in failures):
        raise LussError(messages) from own
    raise RuntimeError(f"another process failed: {messages}") from own


def _told(error: Exception | None) -> tuple[bool, str] | None:
    """What the other processes are told of an error: whether it is for people, and the message."""
    if error is None:
        return None
    if isinstance(error, LussError):
        return True, str(error)
    return False, f"{type(error).__name__}: {error}"
