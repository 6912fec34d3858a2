"""Sweeps: configs, settings and seeds, a process a run, and one table of means and deviations."""

from sweeps.plan import Run, Variant, expand_settings, plan_runs
from sweeps.sweep import Sweep, visible_devices

__all__ = ["Run", "Sweep", "Variant", "expand_settings", "plan_runs", "visible_devices"]
