"""Processes that load data, and what signals mean to them."""

import gc
import os
import signal
import threading
from collections.abc import Iterator

import cv2
from torch.utils.data import DataLoader

from luss.registry import FUNCTIONS

__all__ = ["iterate", "start_worker"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SECONDS_BETWEEN_LOOKS = 1.0


@FUNCTIONS.register_module()
def start_worker(worker_id: int) -> None:
    """Set a data-loading process up: to be passed as ``worker_init_fn``.

    Ctrl-C reaches every process of a terminal, and SIGTERM may be sent to the whole process group;
    the main process decides what they mean, and still needs the workers to finish its iteration.
    A worker ends when the main process tells it to, or is gone. No seeding is needed: data sets
    seed themselves by (seed, epoch, index).
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigtimedwait"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    else:
        # macOS does not say who sent a signal, and PyTorch ends workers that are stuck by SIGTERM.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cv2.setNumThreads(0)
    # Objects of the main process, such as data loaders of an earlier stage, end in that process.
    gc.freeze()


def iterate(loader: DataLoader) -> Iterator:
    """As ``iter(loader)``, but a signal cannot end a worker before :func:`start_worker` is called.

    A process inherits which signals are blocked where it is forked.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        return iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with(parent: int) -> None:
    """End this process on SIGTERM from its parent, and soon after the parent's own end."""
    while os.getppid() == parent:
        received = signal.sigtimedwait({signal.SIGTERM}, _SECONDS_BETWEEN_LOOKS)
        if received is not None and received.si_pid == parent:
            break
    os._exit(0)
