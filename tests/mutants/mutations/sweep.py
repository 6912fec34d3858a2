"""Mistakes in sweeps."""

from mutations.mutation import of

plan = of("luss/sweep/plan.py", "tests/sweep/test_plan.py")
processes = of("luss/sweep/processes.py", "tests/sweep/test_processes.py")
spread = of("luss/sweep/spread.py", "tests/sweep/test_tables.py")
tables = of("luss/sweep/tables.py", "tests/sweep/test_tables.py")
sweep = of("luss/sweep/sweep.py", "tests/sweep/test_sweep.py")
protocols = of("luss/pipeline/evaluation.py", "tests/pipeline/protocols/test_evaluation.py")

MUTATIONS = [
    plan(
        "if safe == whole and len(safe) <= _LONGEST:",
        "if len(safe) <= _LONGEST:",
        "Two variants write into one folder.",
    ),
    plan(
        "return [f\"{place}={folder / 'data'}\"]",
        "return []",
        "Runs side by side draw demo data in one place.",
    ),
    processes(
        "child.send(number if handed_on == 0 else signal.SIGKILL)",
        "child.send(number)",
        "A run that does not end cannot be stopped.",
    ),
    processes(
        "if code is None or (code == 0 and not noted and child.start_next()):",
        "if code is None or (not noted and child.start_next()):",
        "A run that failed is evaluated, and counts as whole.",
    ),
    spread(
        "/ (count - 1))",
        "/ count)",
        "The deviation is that of a population.",
    ),
    tables(
        "fewer = len(spread.defined) < seeds",
        "fewer = False",
        "A mean over fewer seeds looks like one over all.",
    ),
    sweep(
        "write_json(run.folder / _EVALUATED, {**notes, protocol: None})",
        "pass",
        "Results of before stand in the table after an evaluation was killed.",
    ),
    sweep(
        "if missing := [stage for stage in run.stages if stage not in stamps]:",
        "if missing := []:",
        "Runs that are not whole have a part in the table.",
    ),
    sweep(
        "return [name for name in self.protocols or () if name in run.protocols]",
        "return list(self.protocols or ())",
        "A config without a stage for one protocol has no part in the tables of the others.",
    ),
    protocols(
        'shared = {"pipeline": pipelines[0]} if pipelines else {}',
        "shared = {}",
        "Distance matching sees small photos at 256 pixels, where their features are not at home.",
    ),
]
