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
        LussError: if the file is missing, has no stages, or an option fits nowhere.
    """
    if not Path(path).is_file():
        raise LussError(f"there is no config {path}; see configs/ for those that come with luss")
    config = Config.fromfile(path)
    for key, value in (options or {}).items():
        try:
            config.merge_from_dict({key: value})
        except (KeyError, TypeError, AssertionError, IndexError) as error:
            raise LussError(
                f"the option {key}={value!r} does not fit {path}: {error}; options name settings "
                "by their place, such as stages.pretrain.train_cfg.max_epochs=10"
            ) from error
    if not config.get("stages"):
        raise LussError(f"{path} has no 'stages'; see configs/pass/ for examples")
    return config
