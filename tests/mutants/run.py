"""Mutation check: does the fast suite notice deliberate mistakes in the lines that matter?

    python tests/mutants/run.py [--only PATTERN] [--jobs N]

Each mistake of ``mutations.txt`` is made in a copy of the repository, and its tests run there. If
they pass, it survives: a test is missing. Exit code 0 if only mistakes survive whose entry explains
it, else 1. PyTorch and OpenMMLab are imported once; each run is a fork.
"""

import os

# As in conftest.py, and one thread per run: read when PyTorch loads.
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
import py_compile
import re
import shutil
import signal
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from mutations import REPOSITORY, Mutation, read_mutations

_FOLDERS = ("luss", "configs", "tests", "tools", "docs", "benchmarks", "requirements")
_FILES = ("*.md", "*.py", "*.toml")
_HEAVY = ("cv2", "hypothesis", "mmcls", "mmselfsup", "pytest", "scipy.optimize", "torch.utils.data")
_LIMIT = 600
_KILLED, _SURVIVED, _FAILED = "killed", "SURVIVED", "FAILED"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="regular expression on file and sentence")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at a time")
    arguments = parser.parse_args()
    chosen = [m for m in read_mutations() if re.search(arguments.only, str(m))]
    if not chosen:
        parser.error(f"no mutation matches {arguments.only!r}")

    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        template = Path(folder) / "template"
        copy_repository(template)
        load_libraries()
        # Forked now, so that each worker has the libraries and none of luss.
        context = multiprocessing.get_context("fork")
        pool = ProcessPoolExecutor(arguments.jobs, mp_context=context)
        try:
            tests = sorted({test for mutation in chosen for test in mutation.tests})
            jobs = min(arguments.jobs, len(tests))
            parts = [tests[part::jobs] for part in range(jobs)]
            print(f"{len(tests)} test files without any mistake", flush=True)
            for word, detail in pool.map(
                check, [template] * len(parts), [None] * len(parts), parts
            ):
                if word != _SURVIVED:
                    print(f"fix this first: {detail}")
                    return 1
            print(f"passed in {time.monotonic() - start:.0f} s; now {len(chosen)} mistakes")
            futures = {pool.submit(check, template, m, m.tests): m for m in chosen}
            found = {}
            for future in as_completed(futures):
                found[futures[future]] = word, detail = future.result()
                print(f"{word:8}  {futures[future]}\n{'':10}{detail}", flush=True)
        finally:
            pool.shutdown(cancel_futures=True)
    return report(found, time.monotonic() - start)


def report(found: dict[Mutation, tuple[str, str]], seconds: float) -> int:
    """Print the counts and what is to be done; return the exit code."""
    words = [word for word, _ in found.values()]
    counts = ", ".join(f"{words.count(word)} {word}" for word in (_KILLED, _SURVIVED, _FAILED))
    print(f"\n{len(found)} mistakes in {seconds:.0f} s: {counts}")
    bad = 0
    for mutation, (word, detail) in found.items():
        if word == _SURVIVED and mutation.survives:
            print(f"survives: {mutation} {mutation.survives}")
        elif word != _KILLED:
            print(f"{word}: {mutation} {detail}\n- {mutation.before}\n+ {mutation.after}")
            bad += 1
    return int(bad > 0)


def copy_repository(template: Path) -> None:
    """Copy the files that tests read."""
    template.mkdir()
    for source in [found for name in _FOLDERS + _FILES for found in REPOSITORY.glob(name)]:
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, template / source.name, ignore=ignored)
        else:
            shutil.copy(source, template / source.name)
    # Byte code that is checked by content: by time, it could be that before the mistake.
    by_content = py_compile.PycInvalidationMode.CHECKED_HASH
    compileall.compile_dir(template / "luss", quiet=1, invalidation_mode=by_content)


def load_libraries() -> None:
    """Import slow libraries, but nothing of ``luss``."""
    for name in _HEAVY:
        importlib.import_module(name)
    # The only file of luss that imports nothing of luss; it imports mmseg.
    spec = importlib.util.spec_from_file_location("compat", REPOSITORY / "luss" / "compat.py")
    compat = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(compat)
    compat.import_mmseg()


def check(template: Path, mutation: Mutation | None, tests: list[str]) -> tuple[str, str]:
    """Run tests in a fork, on a copy with a mistake; return the outcome and its detail."""
    folder = Path(tempfile.mkdtemp(dir=template.parent))
    shutil.copytree(template, folder / "copy")
    if mutation is not None:
        mutated = mutation.apply(template)
        if mutated is None:
            return _FAILED, "the text must occur exactly once in the file"
        (folder / "copy" / mutation.file).write_text(mutated)
    process = multiprocessing.get_context("fork").Process(target=run_tests, args=(folder, tests))
    process.start()
    try:
        # The tests without a mistake are all tests.
        process.join(_LIMIT if mutation else None)
        if process.is_alive():
            return _KILLED, f"ran for more than {_LIMIT} s"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.join()
    result, log = folder / "result.json", (folder / "log").read_text(errors="replace")
    code, test = json.loads(result.read_text()) if result.exists() else (-1, "")
    shutil.rmtree(folder, ignore_errors=True)
    if code == 1 and test:
        return _KILLED if mutation else _FAILED, test
    if code == 0:
        return _SURVIVED, "no test failed"
    return _FAILED, f"pytest ended with {code}: " + " | ".join(log.strip().splitlines()[-6:])


def run_tests(folder: Path, tests: list[str]) -> None:
    """Run the tests of a copy until one fails; write result.json. Does not return."""
    os.setsid()
    copy = folder / "copy"
    log = (folder / "log").open("w")
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    os.chdir(copy)
    sys.path.insert(0, str(copy))
    os.environ["PYTHONPATH"] = str(copy)
    for name in ("golden", "cases"):
        os.environ.setdefault(f"LUSS_{name.upper()}", str(REPOSITORY.parent / "shared" / name))
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = True

    import pytest

    import luss

    if not Path(luss.__file__).is_relative_to(copy):
        raise RuntimeError(f"{luss.__file__} is imported instead of the copy")
    first = _FirstFailure()
    options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    code = int(pytest.main([*options, f"--basetemp={folder / 'temporary'}", *tests], [first]))
    sys.stdout.flush()
    (folder / "result.json").write_text(json.dumps([code, first.test]))
    # Do not wait for threads and processes that tests left behind.
    os._exit(0)


class _FirstFailure:
    """The first test that failed."""

    test = ""

    def pytest_runtest_logreport(self, report) -> None:
        if report.failed and not self.test:
            self.test = report.nodeid


if __name__ == "__main__":
    sys.exit(main())
