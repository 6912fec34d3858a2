"""Checks that settings of several parts share."""

from luss.configuration import nearest
from luss.errors import LussError

__all__ = ["require_count", "require_keys"]


def require_count(value: object, where: str) -> None:
    """Refuse what is no integer from 1 on.

    Raises:
        LussError: naming ``where`` it stands.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise LussError(f"{where} is {value!r}, expected an integer from 1 on")


def require_keys(
    settings: dict, needed: tuple[str, ...], where: str, optional: tuple[str, ...] = ()
) -> None:
    """Refuse a dict of settings that lacks a key or has one that nothing reads.

    Raises:
        LussError: naming the key and what was perhaps meant.
    """
    for key in settings:
        if key not in (*needed, *optional):
            raise LussError(
                f"{where}.{key} is no setting{nearest(key, [*needed, *optional])} "
                f"Known are: {', '.join([*needed, *optional])}"
            )
    for key in needed:
        if key not in settings:
            raise LussError(f"{where} has no {key!r}; add {where}.{key}")
