"""Checks of types and ranges of settings."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from luss.errors import LussError, nearest

__all__ = ["check_settings", "require_count", "require_keys"]

_ENVIRONMENT = ("cudnn_benchmark", "dist_cfg", "mp_cfg", "resource_limit")


class _Kind(NamedTuple):
    """Accepted values of a setting."""

    expected: str
    accepts: Callable[[Any], bool]
    optional: bool = False


def _integer(lowest: int, highest: int) -> _Kind:
    return _Kind(
        f"an integer in {lowest}..{highest}",
        lambda value: _is_integer(value) and lowest <= value <= highest,
    )


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_path(value: object) -> bool:
    return isinstance(value, str | Path) and bool(value)


_DICT = _Kind("a dict of settings", lambda value: isinstance(value, Mapping))
_DICT_OR_NONE = _DICT._replace(optional=True)
_LIST = _Kind("a list", lambda value: isinstance(value, list | tuple))
_COUNT = _Kind("an integer of at least 1", lambda value: _is_integer(value) and value >= 1)
_SEED = _integer(0, 2**32 - 1)
_WORKERS = _integer(0, 1024)
_PATH = _Kind("the path of a file or folder as text", _is_path, optional=True)
_WEIGHTS = _Kind(
    "the path of a file or folder as text, or a dict with 'file'",
    lambda value: _is_path(value) or (isinstance(value, Mapping) and bool(value)),
    optional=True,
)

_SETTINGS: dict[str, _Kind] = {
    "auto_scale_lr": _DICT_OR_NONE,
    "data": _DICT._replace(expected="a dict of settings, such as data.type=PhotoFolder"),
    "data_root": _PATH,
    "default_hooks": _DICT,
    "env_cfg": _DICT,
    "log_processor": _DICT,
    # Ids of generated categories and IGNORE_ID (1000) share the pixels of pseudo labels.
    "num_categories": _integer(1, 999)._replace(
        expected="an integer in 1..999, or None to count the class folders", optional=True
    ),
    "num_workers": _WORKERS,
    "seed": _SEED,
    "stages": _Kind("a dict of stages", lambda value: isinstance(value, Mapping) and bool(value)),
    "stages.*": _DICT._replace(expected="the settings of a stage"),
    "stages.*.custom_hooks": _LIST,
    "stages.*.default_hooks": _DICT,
    "stages.*.model": _DICT_OR_NONE,
    "stages.*.optim_wrapper": _DICT,
    "stages.*.seed": _SEED._replace(optional=True),
    "stages.*.train_cfg": _DICT,
    "stages.*.train_cfg.max_epochs": _COUNT,
    "stages.*.train_cfg.max_iters": _COUNT,
    "stages.*.train_dataloader": _DICT,
    "stages.*.train_dataloader.batch_size": _COUNT,
    "stages.*.train_dataloader.dataset": _DICT,
    "stages.*.train_dataloader.num_workers": _WORKERS,
    "stages.*.val_dataloader": _DICT_OR_NONE,
    "stages.*.weights": _WEIGHTS,
    "visualizer": _DICT,
    "weights": _WEIGHTS,
    "work_dir": _PATH,
}
"""Key, outer before inner -> accepted values; ``*`` matches any name.

Components check the settings that only they read.
"""


def check_settings(config: Mapping[str, Any]) -> None:
    """Reject settings of a wrong type or range.

    Args:
        config: the complete configuration, options merged.

    Raises:
        LussError: with the setting's place, its value, and the accepted values.
    """
    # Config is not a Mapping.
    settings = dict(config.items())
    for pattern, kind in _SETTINGS.items():
        for place, value in _find(settings, pattern.split(".")):
            # References to outputs and facts are resolved later.
            is_reference = isinstance(value, str) and value.startswith("${")
            if is_reference or (value is None and kind.optional):
                continue
            if value is None or not kind.accepts(value):
                raise LussError(f"{place} is {value!r}, expected {kind.expected}")
    if "data_root" in (data := settings.get("data", {})):
        raise LussError(
            f"data.data_root is {data['data_root']!r}, but the folder of the photos is the setting "
            "data_root; set that instead"
        )
    for name in config.get("env_cfg", {}):
        if name not in _ENVIRONMENT:
            raise LussError(
                f"env_cfg.{name} is unknown{nearest(name, _ENVIRONMENT)} Known are: "
                f"{', '.join(_ENVIRONMENT)}"
            )


def _find(settings: Any, keys: list[str], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield places and values of the keys that match a pattern."""
    first, *inner = keys
    if not isinstance(settings, Mapping):
        return
    for name in settings if first == "*" else [first]:
        if name in settings:
            place = f"{above}{name}"
            if inner:
                yield from _find(settings[name], inner, f"{place}.")
            else:
                yield place, settings[name]


def require_count(value: object, where: str) -> None:
    """Check that a value is an integer of at least 1.

    Raises:
        LussError: with its place, ``where``.
    """
    if not _COUNT.accepts(value):
        raise LussError(f"{where} is {value!r}, expected {_COUNT.expected}")


def require_keys(
    settings: dict, needed: tuple[str, ...], where: str, optional: tuple[str, ...] = ()
) -> None:
    """Check that a dict of settings has all needed and no unknown keys.

    Raises:
        LussError: with the key, and the nearest known one.
    """
    for key in settings:
        if key not in (*needed, *optional):
            raise LussError(
                f"{where}.{key} is unknown{nearest(key, [*needed, *optional])} Known are: "
                f"{', '.join([*needed, *optional])}"
            )
    for key in needed:
        if key not in settings:
            raise LussError(f"{where} has no {key!r}; add {where}.{key}")
