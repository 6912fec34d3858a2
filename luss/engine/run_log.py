"""One log for all stages of a run, with a shorter version on the console."""

import logging
import re
from pathlib import Path

import mmengine
from mmengine.logging import MMLogger

from luss.engine.status_line import StatusLine

__all__ = ["FILE_ONLY", "open_run_log"]

FILE_ONLY = {"file_only": True}
"""Pass this as `extra` with a message that the console does not need."""

_MMENGINE = Path(mmengine.__file__).parent
_METRICS_OF_A_TEST = re.compile(r"\w+\(test\) .*\w/\S+: ")
_ITERATIONS = re.compile(r"(Epoch|Iter)\((train|test)\)")
_CHATTER = ("Exp name:", "Distributed training is not used", "Load checkpoint from")


class _WithoutDumps(logging.Filter):
    """Filter of messages for the file only, and of MMEngine's dumps.

    The dumps are environment, configuration, hooks and initialisation.

    It also drops the one-line metrics of tests, which are logged as a table, too, and lines of
    single iterations, which :class:`luss.engine.progress.Progress` replaces. Warnings and errors
    always pass.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the console shows a record."""
        if getattr(record, "file_only", False):
            return False
        if record.levelno > logging.INFO or not Path(record.pathname).is_relative_to(_MMENGINE):
            return True
        # Messages of luss come from MMEngine's print_log, too.
        if Path(record.pathname).parent.name == "logging":
            return True
        message = record.getMessage()
        dump = "\n" in message or _METRICS_OF_A_TEST.match(message) is not None
        iterations = Path(record.pathname).name == "logger_hook.py" and _ITERATIONS.match(message)
        return not (dump or iterations or message.startswith(_CHATTER))


def open_run_log(path: Path, level: str = "INFO") -> MMLogger:
    """Open a log file for appending, and make it MMEngine's current logger.

    Args:
        path: of the file.
        level: lowest level to log, as in :mod:`logging`.

    Returns:
        The logger; the main process writes to the file, and less to the console.
    """
    name = str(path.resolve())
    logger = MMLogger.get_instance(name) if MMLogger.check_instance_created(name) else None
    if logger is None:
        logger = MMLogger.get_instance(
            name, logger_name="luss", log_file=name, file_mode="a", log_level=level
        )
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.addFilter(_WithoutDumps())
                handler.setStream(StatusLine(handler.stream))
    else:
        # MMEngine's current logger is the newest entry.
        MMLogger._instance_dict[name] = MMLogger._instance_dict.pop(name)
    return logger
