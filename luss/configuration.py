"""Reading configs with clear errors."""

from pathlib import Path

from mmengine import Config

from luss.errors import LussError

__all__ = ["read_config"]


def read_config(path: str, options: dict | None = None) -> Config:
    """Read an MMEngine config and merge options into it.

    Args:
        path: of a ``.py`` config.
        options: dotted keys -> values, as ``--cfg-options`` gives them.

    Raises:
        LussError: if the file is missing or has no stages.
    """
    if not Path(path).is_file():
        raise LussError(f"there is no config {path}; see configs/ for those that come with luss")
    config = Config.fromfile(path)
    if options:
        config.merge_from_dict(options)
    if "stages" not in config:
        raise LussError(f"{path} has no 'stages'; see configs/pass/ for examples")
    return config
