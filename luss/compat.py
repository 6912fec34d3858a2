"""Compatibility with versions of the OpenMMLab stack.

Two packages provide ``mmseg``: ``mmsegmentation`` 1.2, and its successor ``onedl-mmsegmentation``
1.4. The first imports ``mmcv.ops`` unguarded, which needs the compiled module ``mmcv._ext`` that
mmcv-lite lacks. ``luss`` uses no compiled operator, so a placeholder replaces the module while
``mmseg`` is imported. Nothing is replaced with the full mmcv or the second package.
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
    """Placeholder for ``mmcv._ext``: operators can be looked up, but not called."""

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
    """Return name and version of the package that provides ``mmseg``.

    Raises:
        ImportError: if none is installed, or both are, which share a folder.
    """
    found = {}
    for name in (_MMSEG, _ONEDL):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    if len(found) == 1:
        return next(iter(found.items()))
    if found:
        raise ImportError(
            f"{_MMSEG} and {_ONEDL} are both installed and overwrite each other's files; run 'pip "
            f"uninstall -y {_MMSEG} {_ONEDL}', then install one of them"
        )
    raise ImportError(
        f"mmseg is not installed; run 'pip install {_MMSEG}' or 'pip install {_ONEDL}' (see "
        "docs/stacks.md)"
    )


def import_mmseg() -> None:
    """Import ``mmseg.models`` of either package, with the full mmcv or with mmcv-lite.

    Afterwards configs can use ``mmseg.X``. The placeholder is removed, since MMEngine detects the
    full mmcv by ``mmcv._ext``.

    Raises:
        ImportError: as :func:`installed_mmseg`, or if one of its own dependencies is missing.
    """
    if "mmseg.models" in sys.modules:
        return
    name, _ = installed_mmseg()
    if name == _ONEDL or importlib.util.find_spec(_EXTENSION) is not None:
        with warnings.catch_warnings():
            # mmcv-lite warns about an operator that luss does not use.
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
    """Provide ``scipy.interpolate.interp2d``, which SciPy 1.14 removed, within the block.

    mmcls and mmseg call it to resize relative position biases. SciPy's documentation recommends
    ``RectBivariateSpline`` instead for regular grids. An existing ``interp2d`` is kept.
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
