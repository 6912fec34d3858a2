"""The one place that knows which versions of the OpenMMLab stack are installed.

``mmsegmentation`` 1.2 imports ``mmcv.ops`` unguarded, and mmcv-lite lacks the compiled module
``mmcv._ext`` behind it. None of the components that ``luss`` uses calls a compiled operator, so a
placeholder stands in while ``mmseg`` is imported. With the full mmcv nothing is replaced.
"""

import importlib
import importlib.util
import sys
from types import ModuleType

__all__ = ["import_mmseg"]

_EXTENSION = "mmcv._ext"


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


def import_mmseg() -> None:
    """Import ``mmseg.models`` with the full mmcv or with mmcv-lite.

    Afterwards ``mmseg.X`` can be named in configs. The placeholder is removed again, since
    MMEngine looks for ``mmcv._ext`` to tell the full mmcv from mmcv-lite.

    Raises:
        ImportError: if mmsegmentation or one of its own dependencies is missing.
    """
    if "mmseg.models" in sys.modules:
        return
    if importlib.util.find_spec(_EXTENSION) is not None:
        importlib.import_module("mmseg.models")
        return
    sys.modules[_EXTENSION] = _MissingExtension(_EXTENSION)
    try:
        importlib.import_module("mmseg.models")
    finally:
        del sys.modules[_EXTENSION]
