"""The one place that knows which versions of the OpenMMLab stack are installed.

Two packages provide ``mmseg``: ``mmsegmentation`` 1.2, and ``onedl-mmsegmentation`` 1.4, which goes
on from it. The first imports ``mmcv.ops`` unguarded, and mmcv-lite lacks the compiled module
``mmcv._ext`` behind it. None of the components that ``luss`` uses calls a compiled operator, so a
placeholder stands in while ``mmseg`` is imported. With the full mmcv, or with the second package,
nothing is replaced.
"""

import contextlib
import importlib
import importlib.metadata
import importlib.util
import sys
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike
from scipy import interpolate

__all__ = ["import_mmseg", "installed_mmseg", "scipy_with_interp2d"]

_EXTENSION = "mmcv._ext"
_MMSEG, _ONEDL = "mmsegmentation", "onedl-mmsegmentation"


class _MissingExtension(ModuleType):
    """Stands for ``mmcv._ext``: any operator can be looked up, none can be called."""

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)

        def missing_operator(*args, **kwargs):
            raise ImportError(
                f"the compiled operator {name!r} was called, but mmcv-lite has no compiled "
                "operators; install the full mmcv (>=2.0.0,<2.1.0) to use this component"
            )

        return missing_operator


def installed_mmseg() -> tuple[str, str]:
    """Name and version of the package that provides ``mmseg``.

    Raises:
        ImportError: if there is none, or both are there, whose files lie in one folder.
    """
    found = {}
    for name in (_MMSEG, _ONEDL):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    if len(found) == 1:
        return next(iter(found.items()))
    if found:
        raise ImportError(
            f"{_MMSEG} and {_ONEDL} are both installed, and one has overwritten files of the "
            f"other; run 'pip uninstall -y {_MMSEG} {_ONEDL}', then install one of them"
        )
    raise ImportError(
        f"mmseg is not installed; run 'pip install {_MMSEG}', or 'pip install {_ONEDL}' "
        "(docs/stacks.md compares them)"
    )


def import_mmseg() -> None:
    """Import ``mmseg.models`` of either package, with the full mmcv or with mmcv-lite.

    Afterwards ``mmseg.X`` can be named in configs. The placeholder is removed again, since
    MMEngine looks for ``mmcv._ext`` to tell the full mmcv from mmcv-lite.

    Raises:
        ImportError: as :func:`installed_mmseg`, or if one of its own dependencies is missing.
    """
    if "mmseg.models" in sys.modules:
        return
    name, _ = installed_mmseg()
    if name == _ONEDL or importlib.util.find_spec(_EXTENSION) is not None:
        with warnings.catch_warnings():
            # Of mmcv-lite, about an operator that nothing here calls.
            warnings.filterwarnings("ignore", message="Fail to import ``MultiScaleDeformable")
            importlib.import_module("mmseg.models")
        return
    sys.modules[_EXTENSION] = _MissingExtension(_EXTENSION)
    try:
        importlib.import_module("mmseg.models")
    finally:
        del sys.modules[_EXTENSION]


@contextlib.contextmanager
def scipy_with_interp2d() -> Iterator[None]:
    """Stand in for ``scipy.interpolate.interp2d``, which SciPy 1.14 took out, for a while.

    The rules of mmcls and mmseg for resizing relative position biases call it. SciPy names
    ``RectBivariateSpline`` as what takes its place on regular grids. Nothing is replaced where
    SciPy still has it.
    """
    before = interpolate.interp2d
    try:
        before([0, 1], [0, 1], [[0, 0], [0, 0]])
    except NotImplementedError:
        interpolate.interp2d = _interp2d
    try:
        yield
    finally:
        interpolate.interp2d = before


def _interp2d(x: ArrayLike, y: ArrayLike, z: ArrayLike, kind: str = "linear") -> Callable:
    degree = {"linear": 1, "cubic": 3, "quintic": 5}[kind]
    spline = interpolate.RectBivariateSpline(
        np.asarray(x, float), np.asarray(y, float), np.asarray(z, float).T, kx=degree, ky=degree
    )
    return lambda new_x, new_y: spline(new_x, new_y).T
