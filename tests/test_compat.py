"""Which of the two packages that provide ``mmseg`` is installed, and how it is imported."""

import importlib.metadata
import subprocess
import sys

import pytest

from luss.compat import installed_mmseg

ONEDL = "onedl-mmsegmentation"


def pretend(folder, *names):
    """Folders in front of the installed packages, with the metadata of others."""
    for name in names:
        info = folder / f"{name.replace('-', '_')}-9.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.0\n")


def other(name):
    return ONEDL if name == "mmsegmentation" else "mmsegmentation"


def test_it_is_the_one_that_mmseg_comes_from():
    import mmseg

    name, version = installed_mmseg()
    assert mmseg.__version__ == version
    files = importlib.metadata.files(name)
    assert any(str(path) == "mmseg/__init__.py" for path in files)


def test_both_at_once_are_refused(tmp_path, monkeypatch):
    name, _ = installed_mmseg()
    pretend(tmp_path, other(name))
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ImportError, match=r"both installed.*pip uninstall -y mmsegmentation onedl"):
        installed_mmseg()


def test_none_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(ImportError, match="mmseg is not installed; run 'pip install mmsegment"):
        installed_mmseg()


def test_the_import_leaves_no_placeholder():
    said = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "from luss.compat import import_mmseg\n"
         "import_mmseg()\nimport sys\nfrom mmseg.registry import MODELS\n"
         "print('mmcv._ext' in sys.modules, 'EncoderDecoder' in MODELS)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.split() == ["False", "True"]
