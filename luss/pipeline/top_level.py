"""Top-level settings are checked before anything else."""

from collections.abc import Mapping
from pathlib import Path

from mmengine import Config

from luss.configuration import nearest
from luss.datasets.mask_codec import IGNORE_ID
from luss.errors import LussError

__all__ = ["check_settings"]

_ENVIRONMENT = ("cudnn_benchmark", "dist_cfg", "mp_cfg", "resource_limit")


def check_settings(config: Config) -> None:
    """Refuse values of top-level settings that cannot be meant.

    Raises:
        LussError: naming the setting, what was found and what was expected.
    """
    for name, lowest, highest, optional in (
        ("seed", 0, 2**32 - 1, False),
        ("num_workers", 0, 1024, False),
        # Ids of generated categories and IGNORE_ID share the pixels of pseudo labels.
        ("num_categories", 1, IGNORE_ID - 1, True),
    ):
        value = config.get(name, lowest)
        if optional and value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise LussError(
                f"{name} is {value!r}, expected an integer in {lowest}..{highest}"
                + (", or None to read it off the class folders" if optional else "")
            )
    for name, kinds in (("data_root", (str, Path)), ("weights", (str, Path, Mapping))):
        value = config.get(name)
        if value is not None and (not isinstance(value, kinds) or not value):
            raise LussError(f"{name} is {value!r}, expected the path of a file or folder as text")
    for name in config.get("env_cfg", {}):
        if name not in _ENVIRONMENT:
            raise LussError(
                f"env_cfg.{name} is no setting of the environment{nearest(name, _ENVIRONMENT)} "
                f"Known are: {', '.join(_ENVIRONMENT)}"
            )
