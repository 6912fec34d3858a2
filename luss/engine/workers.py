"""Processes that load data."""

import signal

import cv2

from luss.registry import FUNCTIONS

__all__ = ["start_worker"]


@FUNCTIONS.register_module()
def start_worker(worker_id: int) -> None:
    """Set a data-loading process up: to be passed as ``worker_init_fn``.

    Ctrl-C reaches every process of a terminal; the main one decides what it means and ends the
    workers. No seeding is needed: data sets seed themselves by (seed, epoch, index).
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cv2.setNumThreads(0)
