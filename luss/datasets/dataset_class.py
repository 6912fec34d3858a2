"""Data sets by their name, those of other libraries too."""

from luss.errors import LussError
from luss.registry import DATASETS

__all__ = ["dataset_class"]


def dataset_class(kind: str | type) -> type:
    """The class of a data set.

    Args:
        kind: name, with its scope if it is of another library, or the class itself.

    Raises:
        LussError: if there is none of this name.
    """
    if not isinstance(kind, str):
        return kind
    if kind.startswith("mmseg."):
        # Without this, it cannot be imported beside mmcv-lite.
        from luss.compat import import_mmseg

        import_mmseg()
    found = DATASETS.get(kind)
    if found is None:
        known = ", ".join(sorted(DATASETS.module_dict))
        raise LussError(
            f"there is no data set {kind!r}. Known are: {known}; those of other libraries are "
            "named with their scope, such as mmcls.CustomDataset"
        )
    return found
