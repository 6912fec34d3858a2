"""Lookup of data set classes by name."""

from luss.errors import LussError
from luss.registry import DATASETS

__all__ = ["dataset_class"]


def dataset_class(kind: str | type) -> type:
    """Return the class of a data set.

    Args:
        kind: name, with its scope for another library's class, or the class itself.

    Raises:
        LussError: if the name is unknown.
    """
    if not isinstance(kind, str):
        return kind
    if kind.startswith("mmseg."):
        # mmseg cannot be imported with mmcv-lite otherwise.
        from luss.compat import import_mmseg

        import_mmseg()
    found = DATASETS.get(kind)
    if found is None:
        known = ", ".join(sorted(DATASETS.module_dict))
        raise LussError(
            f"unknown data set {kind!r}, expected one of {known}. Add another library's scope, "
            "such as mmcls.CustomDataset"
        )
    return found
