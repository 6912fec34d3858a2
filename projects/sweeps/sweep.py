"""A sweep: its runs as processes, then its tables."""

import os
import shlex
import signal
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch

from luss.errors import LussError
from luss.evaluation.provenance import versions
from luss.evaluation.results import Results
from luss.files import atomic_write, read_json, write_json
from sweeps.chart import plot_methods
from sweeps.plan import Run
from sweeps.processes import Job, child_environment, run_jobs
from sweeps.tables import Methods, as_json, as_markdown, main_columns, spread_of_results

__all__ = ["Sweep", "visible_devices"]

_EVALUATED = "evaluated.json"
_say = partial(print, flush=True)


class Sweep:
    """Runs of a sweep, in one folder.

    Args:
        runs: as :func:`sweeps.plan_runs` gives them.
        folder: of the tables.
        tools: folder of ``train.py`` and ``test.py``.
        python: the interpreter that runs them.
        protocols: to tabulate; those that training does not evaluate are evaluated afterwards. A
            run without a stage for a protocol is not in its table. None for all protocols of the
            runs.

    Raises:
        LussError: if a config has none of the protocols, or no config has one of them.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        folder: str | Path,
        tools: str | Path,
        python: str,
        protocols: Sequence[str] | None = None,
    ) -> None:
        self.runs = list(runs)
        self.folder = Path(folder).expanduser()
        self.tools, self.python = Path(tools), python
        self.protocols = None if protocols is None else tuple(protocols)
        self._check_protocols()
        self.problems: dict[str, str] = {}
        """Name of a run -> why it is not in the tables."""

    def run(self, jobs: int = 1, devices: Sequence[str] = ()) -> int | None:
        """Start or resume every run that is not complete.

        Args:
            jobs: number of parallel runs.
            devices: values of ``CUDA_VISIBLE_DEVICES`` to distribute among the jobs.

        Returns:
            The signal that stopped the sweep, or None. Failed runs are added to ``problems``.

        Raises:
            LussError: if ``jobs`` is less than one.
        """
        if jobs < 1:
            raise LussError(f"--jobs is {jobs}, expected at least 1")
        cores = len(os.sched_getaffinity(0))
        environments = [
            child_environment(slot, jobs, os.environ, cores, devices) for slot in range(jobs)
        ]
        by_name = {run.name: run for run in self.runs}
        work = [Job(run.name, self._steps(run), run.log) for run in self.runs]

        def ended(job: Job, code: int, seconds: float) -> None:
            took = f"{seconds / 60:.1f} minutes"
            if code == 0:
                _say(f"{job.name}: done, {took}")
            else:
                self.problems[job.name] = _failure(by_name[job.name], code)
                _say(f"{job.name}: {self.problems[job.name]}, {took}")

        _say(f"{len(work)} runs, {min(jobs, len(work))} at a time, in {self.folder}")
        start = lambda job: _say(f"{job.name}: started; log: {job.log}")  # noqa: E731
        _, number = run_jobs(work, environments, start, ended)
        return number

    def tables(self) -> dict[str, Methods]:
        """Return means and deviations of complete runs; add others to ``problems``.

        Returns:
            Protocol -> method -> split -> metric -> values over seeds.
        """
        found: dict[str, dict[str, list]] = {}
        for run in self.runs:
            if run.name in self.problems:
                continue
            try:
                tables = self._tables_of(run)
            except LussError as error:
                self.problems[run.name] = str(error)
                continue
            for protocol, results in tables.items():
                of_protocol = found.setdefault(protocol, {})
                of_protocol.setdefault(run.variant.name, []).append((run.seed, results))
        rows = dict.fromkeys(run.variant.name for run in self.runs)
        return {
            protocol: {name: spread_of_results(methods[name]) for name in rows if name in methods}
            for protocol, methods in found.items()
        }

    def write(self) -> str:
        """Write ``sweep.json``, ``sweep.md`` and a plot a protocol.

        Returns:
            The Markdown.
        """
        tables = self.tables()
        seeds = list(dict.fromkeys(run.seed for run in self.runs))
        runs = [
            {
                "method": run.variant.name,
                "config": run.variant.config,
                "options": list(run.options),
                "seed": run.seed,
                "folder": str(run.folder),
                "left_out": self.problems.get(run.name),
            }
            for run in self.runs
        ]
        protocols = {name: as_json(methods) for name, methods in tables.items()}
        content = {"protocols": protocols, "seeds": seeds, "runs": runs, "versions": versions()}
        parts = [
            f"# Sweep over the seeds {', '.join(map(str, seeds))}\n",
            "Percent: mean ± sample standard deviation over n seeds; one seed has no deviation.\n",
        ]
        for protocol, methods in tables.items():
            parts.append(as_markdown(protocol, methods))
            if main_columns(methods):
                picture = f"sweep_{protocol}.png"
                plot_methods(self.folder / picture, protocol.replace("_", " "), methods)
                parts.append(f"![{protocol}]({picture})\n")
        if own := {run.variant.name: run.own_seeds for run in self.runs if run.own_seeds}:
            parts.append("## Seeds that stayed the same\n")
            parts.append("".join(f"- {name}: of {', '.join(own[name])}\n" for name in own))
        if lacking := self._lacking():
            parts.append("## Protocols that a config has no stage for\n")
            parts.append("".join(f"- {name}: {', '.join(lacking[name])}\n" for name in lacking))
        if self.problems:
            parts.append("## Left out\n")
            parts.append("".join(f"- {name}: {why}\n" for name, why in self.problems.items()))
        text = "\n".join(parts)
        write_json(self.folder / "sweep.json", content)
        with atomic_write(self.folder / "sweep.md") as file:
            file.write(text.encode())
        return text

    def _check_protocols(self) -> None:
        """Check that each protocol has a config, and each config a protocol."""
        for protocol in self.protocols or ():
            if not any(protocol in run.protocols for run in self.runs):
                known = dict.fromkeys(name for run in self.runs for name in run.protocols)
                raise LussError(
                    f"--protocol {protocol}: no config has a stage for it; known are: "
                    f"{', '.join(known) or 'none'}"
                )
        for run in self.runs if self.protocols else ():
            if not self._chosen_of(run):
                raise LussError(
                    f"{run.variant.name} has no stage for any --protocol; its protocols are: "
                    f"{', '.join(run.protocols) or 'none'}. Add one of them, or remove the config"
                )

    def _chosen_of(self, run: Run) -> list[str]:
        """Return the chosen protocols that the run's config has."""
        return [name for name in self.protocols or () if name in run.protocols]

    def _lacking(self) -> dict[str, list[str]]:
        """Return method -> the chosen protocols that its config does not have."""
        lacking = {
            run.variant.name: [name for name in self.protocols or () if name not in run.protocols]
            for run in self.runs
        }
        return {name: protocols for name, protocols in lacking.items() if protocols}

    def _steps(self, run: Run) -> list[Callable[[], list[str] | None]]:
        """Return the steps of a run: training, then each protocol that it does not evaluate."""
        steps: list[Callable[[], list[str] | None]] = [
            partial(self._command, "train.py", run, "--resume")
        ]
        for protocol in self._chosen_of(run):
            steps.append(partial(self._evaluation, run, protocol))
            # Called after the evaluation has succeeded.
            steps.append(partial(self._note_evaluation, run, protocol))
        return steps

    def _command(self, tool: str, run: Run, *more: str) -> list[str]:
        command = [self.python, str(self.tools / tool), *run.arguments(), *more]
        run.log.parent.mkdir(parents=True, exist_ok=True)
        with run.log.open("a") as log:
            log.write(f"$ {shlex.join(command)}\n")
        return command

    def _evaluation(self, run: Run, protocol: str) -> list[str] | None:
        """Return the command that evaluates a protocol; None if its results are up to date.

        ``evaluated.json`` records what the sweep has evaluated; the run's stages did the rest.
        """
        notes = _notes(run)
        if protocol in _results(run) and notes.get(protocol, _stamps(run)) == _stamps(run):
            return None
        # Existing results are invalid until the evaluation has succeeded.
        write_json(run.folder / _EVALUATED, {**notes, protocol: None})
        return self._command("test.py", run, "--protocol", protocol)

    def _note_evaluation(self, run: Run, protocol: str) -> None:
        notes = _notes(run)
        if protocol in notes:
            write_json(run.folder / _EVALUATED, {**notes, protocol: _stamps(run)})

    def _tables_of(self, run: Run) -> dict[str, Results]:
        """Return the results of a complete run.

        Raises:
            LussError: if it is not complete, or lacks results.
        """
        stamps = _stamps(run)
        if missing := [stage for stage in run.stages if stage not in stamps]:
            raise LussError(f"not complete: {', '.join(missing)} missing in {run.folder}")
        results = _results(run)
        if not results:
            raise LussError(f"no metrics in {run.results}; its data have no true masks")
        if self.protocols is None:
            return results
        notes = _notes(run)
        chosen = self._chosen_of(run)
        for protocol in chosen:
            if protocol not in results or notes.get(protocol, stamps) != stamps:
                raise LussError(f"not evaluated by {protocol} yet in {run.folder}")
        return {protocol: results[protocol] for protocol in chosen}


def visible_devices() -> list[str]:
    """Return values for ``CUDA_VISIBLE_DEVICES``, one for each usable device."""
    if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    return [str(index) for index in range(torch.cuda.device_count())]


def _results(run: Run) -> dict[str, Results]:
    if not run.results.exists():
        return {}
    content = read_json(run.results)
    return {name: table for name, table in content.items() if name != "provenance"}


def _notes(run: Run) -> dict[str, dict[str, int] | None]:
    """Return protocol -> times of the stages that the sweep has evaluated."""
    path = run.folder / _EVALUATED
    return read_json(path) if path.exists() else {}


def _stamps(run: Run) -> dict[str, int]:
    """Return the time of each complete stage, in nanoseconds."""
    notes = {stage: run.folder / stage / "done.json" for stage in run.stages}
    return {stage: path.stat().st_mtime_ns for stage, path in notes.items() if path.exists()}


def _failure(run: Run, code: int) -> str:
    """Describe how a command of a run failed, with the last line of its log."""
    how = f"exit code {code}" if code >= 0 else f"ended by {signal.Signals(-code).name}"
    lines = run.log.read_text(errors="replace").splitlines() if run.log.exists() else []
    last = lines[-1].strip() if lines else ""
    return f"failed ({how}){f': {last}' if last else ''}; log: {run.log}"
