"""Fixtures shared by all tests, also those of projects."""

import gc
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

# The golden numbers came from AVX2 kernels. Wider vectors sum in another order, which batch norm
# over a handful of samples turns into differences of 1e-3 in gradients. Read when torch loads.
os.environ.setdefault("ATEN_CPU_CAPABILITY", "avx2")
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
if "PYTEST_XDIST_WORKER" in os.environ:
    # The workers share the cores, and so do the commands that they start.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch

REPOSITORY = Path(__file__).resolve().parent
GOLDEN = Path(os.environ.get("LUSS_GOLDEN", REPOSITORY.parent / "shared" / "golden"))
CASES = Path(os.environ.get("LUSS_CASES", REPOSITORY.parent / "shared" / "cases"))


@pytest.fixture(scope="session")
def case_path():
    """Function from a name to a folder of data that went wrong; skips where it is missing."""

    def path(name: str) -> Path:
        if not (CASES / name).is_dir():
            pytest.skip(f"no folder {CASES / name} (set LUSS_CASES)")
        return CASES / name

    return path


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Sums of several threads depend on how many there are."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def _frozen():
    """How many modules were imported before the last ``gc.freeze``."""
    return {"modules": 0}


@pytest.fixture(autouse=True, scope="module")
def _quick_collections(_frozen):
    """Leave libraries out of garbage collections, of which stages and data sets do many."""
    if len(sys.modules) > _frozen["modules"] + 100:
        gc.collect()
        gc.freeze()
        _frozen["modules"] = len(sys.modules)


@pytest.fixture(scope="session")
def golden_path():
    """Function from a name to its path in the golden folder; skips where it is missing."""

    def path(name: str) -> Path:
        if not GOLDEN.is_dir():
            pytest.skip(f"no golden folder at {GOLDEN} (set LUSS_GOLDEN)")
        if not (GOLDEN / name).exists():
            pytest.skip(f"the golden folder {GOLDEN} has no {name}")
        return GOLDEN / name

    return path


@pytest.fixture(scope="session")
def golden(golden_path):
    """Function from a name to the arrays of a golden ``.npz`` file, as a dict."""

    def load(name: str) -> dict[str, np.ndarray]:
        with np.load(golden_path(name)) as arrays:
            return dict(arrays)

    return load


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """Work dir of a complete run of the tiny config; do not write to it."""
    from tiny_run import run_tiny

    return run_tiny(tmp_path_factory.mktemp("tiny") / "run")


@pytest.fixture(scope="session")
def pretrained(finished_run, tmp_path_factory):
    """Work dir of a run up to pretraining; not to be written to."""
    folder = tmp_path_factory.mktemp("pretrained") / "run"
    later = ("pixel_attention", "label_generation", "finetune", "evaluate", "results.json")
    shutil.copytree(finished_run, folder, ignore=shutil.ignore_patterns(*later))
    return folder


@pytest.fixture
def fault():
    """Set ``fault.plan`` to a function of the runner that fails when it wants."""
    from tiny_run import FaultHook

    yield FaultHook
    FaultHook.plan = None


@pytest.fixture(scope="session")
def demo_root(tmp_path_factory):
    """Two labelled training images a class, three for validation, three for test."""
    from luss.datasets import draw_demo_data

    root = tmp_path_factory.mktemp("demo") / "data"
    return draw_demo_data(root, train=4, train_semi=2, validation=3, test=3, size=64)


@pytest.fixture
def make_context(demo_root, tmp_path):
    """Function from stages and further settings to a context of a new work dir."""

    from mmengine import Config
    from mmengine.registry import init_default_scope

    from luss.pipeline.context import Context
    from luss.pipeline.work_dir import WorkDir

    def make(stages, name="run", **settings):
        config = Config({"data_root": str(demo_root), "num_workers": 0, "stages": stages})
        config.merge_from_dict(settings)
        init_default_scope("luss")
        return Context(config, WorkDir(tmp_path / name))

    return make


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """A folder into which a wheel of a copy of the checkout is unpacked."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    left_out = shutil.ignore_patterns(".*", "__pycache__")
    source.mkdir()
    for name in ("luss", "configs", "tools", "projects"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=left_out)
    shutil.copytree(REPOSITORY / "luss" / ".mim", source / "luss" / ".mim", symlinks=True)
    for name in ("setup.py", "MANIFEST.in", "README.md", "model-index.yml", "LICENSE"):
        shutil.copy(REPOSITORY / name, source / name)
    command = [sys.executable, "setup.py", "-q", "bdist_wheel", "--dist-dir", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        archive.extractall(folder / "site")
    return folder / "site"
