"""Mutation check: does the fast suite notice deliberate mistakes in the lines that matter?

    python tests/mutants/run.py [--only PATTERN] [--jobs N]

Each mistake of ``mutations/`` is made in a copy of the repository, and the tests that concern it
run there. A mistake that they do not notice survives: a test is missing. Exit code 0 if only those
survive whose entry explains it, else 1.

PyTorch and OpenMMLab are imported once; every run is a fork that imports the copy's ``luss``.
"""

import os

# As in tests/conftest.py, and one thread a run: read when PyTorch loads.
os.environ.setdefault("ATEN_CPU_CAPABILITY", "avx2")
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import compileall
import contextlib
import importlib
import importlib.util
import json
import multiprocessing
import multiprocessing.connection
import py_compile
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from mutations import MUTATIONS
from mutations.mutation import REPOSITORY, Mutation

_COPIED = (
    "luss",
    "configs",
    "tests",
    "tools",
    "docs",
    "benchmarks",
    "requirements",
    "*.md",
    "*.py",
    "*.toml",
)
_HEAVY = ("cv2", "hypothesis", "mmcls", "mmselfsup", "pytest", "scipy.optimize", "torch.utils.data")
_LIMIT = 300
_KILLED, _SURVIVED, _NOT_FOUND, _FAILED = "killed", "SURVIVED", "NOT FOUND", "FAILED"


@dataclass(frozen=True)
class Outcome:
    """What became of one mutation.

    Attributes:
        word: 'killed' by a test, 'SURVIVED', 'NOT FOUND' (the text to change is not there), or
            'FAILED' (the tests could not run).
        detail: the test that failed, or what went wrong.
        seconds: that it took.
    """

    word: str
    detail: str
    seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="regular expression on file, line and sentence")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at a time")
    arguments = parser.parse_args()
    chosen = [m for m in MUTATIONS if re.search(arguments.only, f"{m} {m.breaks}")]
    if not chosen:
        print(f"no mutation fits {arguments.only!r}")
        return 2

    # So that what was started ends, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        template = Path(folder) / "template"
        copy_repository(template)
        load_libraries()
        print("the tests without any mistake:", flush=True)
        tests = sorted({test for mutation in chosen for test in mutation.tests})
        parts = [(None, tests[part :: arguments.jobs]) for part in range(arguments.jobs)]
        sound = run_all([part for part in parts if part[1]], template, arguments.jobs)
        if failing := [outcome.detail for _, outcome in sound if outcome.word != _SURVIVED]:
            print(f"they fail already, which is to be mended first: {'; '.join(failing)}")
            return 1
        seconds = time.monotonic() - start
        print(f"passed in {seconds:.0f} s; now with {len(chosen)} mistakes", flush=True)
        outcomes = {}
        for mutation, outcome in run_all([(m, m.tests) for m in chosen], template, arguments.jobs):
            outcomes[mutation] = outcome
            where = mutation.file.removeprefix("luss/")
            print(f"{outcome.word:9} {outcome.seconds:5.1f} s  {where}: {mutation.breaks}")
            print(f"{'':18} {outcome.detail}", flush=True)
    return report(outcomes, time.monotonic() - start)


def report(outcomes: dict[Mutation, Outcome], seconds: float) -> int:
    """Print what matters in the end; the exit code."""
    of_word = {word: [] for word in (_KILLED, _SURVIVED, _NOT_FOUND, _FAILED)}
    for mutation, outcome in outcomes.items():
        of_word[outcome.word].append(mutation)
    explained = [mutation for mutation in of_word[_SURVIVED] if mutation.survives]
    bad = [
        mutation
        for word in (_SURVIVED, _NOT_FOUND, _FAILED)
        for mutation in of_word[word]
        if mutation not in explained
    ]
    numbers = ", ".join(f"{len(found)} {word}" for word, found in of_word.items())
    print(f"\n{len(outcomes)} mistakes in {seconds:.0f} s: {numbers}")
    for mutation in explained:
        print(f"survives: {mutation.file}: {mutation.breaks} {mutation.survives}")
    for mutation in bad:
        outcome = outcomes[mutation]
        print(f"{outcome.word}: {mutation.file}: {mutation.breaks} {outcome.detail}")
        print(f"    - {mutation.before}\n    + {mutation.after}")
    return 1 if bad else 0


def copy_repository(template: Path) -> None:
    """Copy what tests need; with byte code that is checked by content, not by time."""
    template.mkdir()
    unwanted = shutil.ignore_patterns("__pycache__")
    for source in [found for name in _COPIED for found in REPOSITORY.glob(name)]:
        if source.is_dir():
            shutil.copytree(source, template / source.name, ignore=unwanted)
        else:
            shutil.copy(source, template / source.name)
    compileall.compile_dir(
        template / "luss",
        quiet=1,
        invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH,
    )


def load_libraries() -> None:
    """Import what takes seconds, and nothing of ``luss``."""
    for name in _HEAVY:
        importlib.import_module(name)
    # The one file of luss that stands alone brings mmseg in.
    spec = importlib.util.spec_from_file_location("compat", REPOSITORY / "luss" / "compat.py")
    compat = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(compat)
    compat.import_mmseg()


def run_all(
    tasks: list[tuple[Mutation | None, list[str]]], template: Path, jobs: int
) -> Iterator[tuple[Mutation | None, Outcome]]:
    """Run tests on mutated copies, several at a time; yield what became of each.

    Args:
        tasks: a mutation, or None for none, and the tests to run.
        template: the copy to copy.
        jobs: runs at a time.
    """
    # Forks start with the libraries of this process.
    context = multiprocessing.get_context("fork")
    waiting, running = list(reversed(tasks)), {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                mutation, tests = waiting.pop()
                folder = Path(tempfile.mkdtemp(dir=template.parent))
                shutil.copytree(template, folder / "copy")
                if mutation is not None:
                    mutated = mutation.applied(folder / "copy")
                    if mutated is None:
                        detail = "the text must occur exactly once in the file"
                        yield mutation, Outcome(_NOT_FOUND, detail, 0)
                        continue
                    (folder / "copy" / mutation.file).write_text(mutated)
                process = context.Process(target=run_tests, args=(folder, tests))
                process.start()
                running[process.sentinel] = (process, mutation, folder, time.monotonic())
            if not running:
                continue
            ready = multiprocessing.connection.wait(list(running), timeout=1)
            for sentinel in list(running):
                process, mutation, folder, began = running[sentinel]
                seconds = time.monotonic() - began
                if sentinel not in ready and seconds < _LIMIT * (1 if mutation else 3):
                    continue
                del running[sentinel]
                yield mutation, _outcome(process, folder, seconds, sentinel in ready)
                shutil.rmtree(folder, ignore_errors=True)
    finally:
        for process, *_ in running.values():
            _end(process)


def run_tests(folder: Path, tests: list[str]) -> None:
    """In a process of its own: run tests of a copy and write down how they ended."""
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    copy = folder / "copy"
    log = (folder / "log").open("w")
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    os.chdir(copy)
    sys.path.insert(0, str(copy))
    os.environ["PYTHONPATH"] = str(copy)
    os.environ.setdefault("LUSS_GOLDEN", str(REPOSITORY.parent / "shared" / "golden"))
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = True

    import pytest

    import luss

    if not Path(luss.__file__).is_relative_to(copy):
        raise RuntimeError(f"{luss.__file__} is imported instead of the copy")
    first = _FirstFailure()
    options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    options.append(f"--basetemp={folder / 'temporary'}")
    code = int(pytest.main([*options, *tests], plugins=[first]))
    sys.stdout.flush()
    (folder / "result.json").write_text(json.dumps([code, first.test]))
    # Without waiting for what tests have left behind.
    os._exit(0)


class _FirstFailure:
    """Notes the first test that failed."""

    test = ""

    def pytest_runtest_logreport(self, report) -> None:
        if report.failed and not self.test:
            self.test = report.nodeid


def _outcome(process, folder: Path, seconds: float, ended: bool) -> Outcome:
    _end(process)
    if not ended:
        return Outcome(_KILLED, f"ran for more than {seconds:.0f} s", seconds)
    path = folder / "result.json"
    code, test = json.loads(path.read_text()) if path.exists() else (-1, "")
    if code == 1 and test:
        return Outcome(_KILLED, test, seconds)
    if code == 0:
        return Outcome(_SURVIVED, "no test failed", seconds)
    log = (folder / "log").read_text(errors="replace").strip().splitlines()
    return Outcome(_FAILED, f"pytest ended with {code}: " + " | ".join(log[-6:]), seconds)


def _end(process) -> None:
    """End a run with all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


if __name__ == "__main__":
    sys.exit(main())
