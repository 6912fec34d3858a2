"""One log for all stages of a run; the console gets what a person reads."""

import logging
import re
from pathlib import Path

import mmengine
from mmengine.logging import MMLogger

from luss.engine.status_line import StatusLine

__all__ = ["open_run_log"]

_MMENGINE = Path(mmengine.__file__).parent
_METRICS_OF_A_TEST = re.compile(r"\w+\(test\) .*\w/\S+: ")
_ITERATIONS = re.compile(r"(Epoch|Iter)\((train|test)\)")
_CHATTER = ("Exp name:", "Distributed training is not used", "Load checkpoint from")


class _WithoutDumps(logging.Filter):
    """Drops what MMEngine dumps for the record: environment, configuration, hooks, initialisation.

    And the metrics of a test in one line, which are logged as a table, too; and the lines of single
    iterations, in whose place :class:`luss.engine.progress.Progress` says how far they are.

    Warnings and errors always pass.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the console shows a record."""
        if record.levelno > logging.INFO or not Path(record.pathname).is_relative_to(_MMENGINE):
            return True
        # print_log is where our own messages come from, too.
        if Path(record.pathname).parent.name == "logging":
            return True
        message = record.getMessage()
        dump = "\n" in message or _METRICS_OF_A_TEST.match(message) is not None
        iterations = Path(record.pathname).name == "logger_hook.py" and _ITERATIONS.match(message)
        return not (dump or iterations or message.startswith(_CHATTER))


def open_run_log(path: Path, level: str = "INFO") -> MMLogger:
    """Open a log file to append to, and make it MMEngine's current logger.

    Args:
        path: of the file.
        level: of the least messages to keep, as in :mod:`logging`.

    Returns:
        The logger; on the main process it writes to the file, and briefer to the console.
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
        # The newest instance is the current one.
        MMLogger._instance_dict[name] = MMLogger._instance_dict.pop(name)
    return logger
