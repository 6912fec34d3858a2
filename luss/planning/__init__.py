"""What ``luss train`` and ``luss check`` find out before a run: the photos, settings, schedule."""

from luss.planning.rehearsed_run import Rehearsal, rehearse_run
from luss.planning.schedule import fitting_batch, full_schedule, plan_schedule
from luss.planning.settings import FOREGROUNDS, choose_foreground, settings_for, start_from
from luss.planning.survey import Survey, survey

__all__ = [
    "FOREGROUNDS",
    "Rehearsal",
    "Survey",
    "choose_foreground",
    "fitting_batch",
    "full_schedule",
    "plan_schedule",
    "rehearse_run",
    "settings_for",
    "start_from",
    "survey",
]
