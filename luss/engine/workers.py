"""Data-loading processes, and their handling of signals."""

import gc
import os
import signal
import threading
from collections.abc import Iterable, Iterator

import cv2
from torch.utils.data import DataLoader

from luss.registry import FUNCTIONS

__all__ = ["end_workers", "iterate", "start_worker"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SECONDS_BETWEEN_LOOKS = 1.0


@FUNCTIONS.register_module()
def start_worker(worker_id: int) -> None:
    """Set up a data-loading process; pass this as ``worker_init_fn``.

    Ctrl-C and SIGTERM may reach all processes; only the main process handles them, and needs the
    workers to finish its iteration. A worker ends when the main process stops it or has ended.
    Workers need no seed: samples are seeded by (seed, epoch, index).
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigtimedwait"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    else:
        # macOS does not report a signal's sender, and PyTorch stops stuck workers with SIGTERM.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cv2.setNumThreads(0)
    # Objects of the main process, such as older data loaders, must not be finalised here.
    gc.freeze()


def iterate(loader: Iterable) -> Iterator:
    """Return ``iter(loader)``, with signals blocked until workers call :func:`start_worker`.

    Workers inherit the blocked signals.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        return iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_workers(loader: DataLoader) -> None:
    """End the persistent workers of a data loader; garbage collection waits 5 s for each."""
    iterator, loader._iterator = loader._iterator, None
    # An iterator without worker processes has no such method.
    if shutdown := getattr(iterator, "_shutdown_workers", None):
        shutdown()


def _end_with(parent: int) -> None:
    """Exit on SIGTERM from the parent process, or soon after the parent has ended."""
    while os.getppid() == parent:
        received = signal.sigtimedwait({signal.SIGTERM}, _SECONDS_BETWEEN_LOOKS)
        if received is not None and received.si_pid == parent:
            break
    os._exit(0)
