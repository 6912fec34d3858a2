"""Reading configs and options, so that what they say either happens or is refused."""

import argparse
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from pprint import pformat
from typing import Any

from mmengine import Config, DictAction
from mmengine.logging import print_log

from luss.config_checks import check_settings
from luss.config_files import (
    dicts_replace_none,
    import_custom_modules,
    inheritance,
    library_config,
    make_importable,
    project_folders,
)
from luss.errors import LussError, nearest
from luss.files import atomic_write
from luss.registry import STAGES
from luss.unread_settings import (
    RUNNER_KEYS,
    reject_key,
    reject_misspelt,
    reject_option,
    unused_keys,
)

__all__ = [
    "SETTINGS",
    "ConfigOptions",
    "PlainConfig",
    "read_config",
    "read_option",
    "write_config",
]

SETTINGS = (
    "custom_imports",
    "data",
    "data_root",
    "default_hooks",
    "env_cfg",
    "log_level",
    "log_processor",
    "num_categories",
    "num_workers",
    "seed",
    "stages",
    "visualizer",
    "work_dir",
)
"""Top-level keys that every run reads; stages may read more (``Stage.settings``)."""

_TEXTS = frozenset(
    {
        "checkpoint",
        "data_root",
        "file",
        "folder",
        "mask_root",
        "match",
        "title",
        "weights",
        "work_dir",
    }
)
"""Last parts of the keys whose values are taken letter by letter, such as folder names."""

_PLACES = ("after", "before")
"""Keys of a stage that say where it stands; without them it stands where it is first named."""


class ConfigOptions(DictAction):
    """``--cfg-options``: as MMEngine reads them, but folder names and titles stay as written.

    MMEngine takes spaces out of texts and makes lists and numbers of 'a,b' and '2024'.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: list[str],
        option_string: str | None = None,
    ) -> None:
        """Add ``KEY=VALUE`` texts to the options."""
        options = dict(getattr(namespace, self.dest, None) or {})
        for text in values:
            try:
                key, value = read_option(text)
            except LussError as error:
                parser.error(f"{option_string} {error}")
            options[key] = value
        setattr(namespace, self.dest, options)


def read_option(text: str) -> tuple[str, Any]:
    """The key and the value of ``KEY=VALUE``, as ``--cfg-options`` reads them.

    Raises:
        LussError: if it is no such text, or its brackets do not match.
    """
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise LussError(f"takes KEY=VALUE, found {text!r}")
    try:
        is_text = key.rpartition(".")[2] in _TEXTS and value != "None"
        return key, value if is_text else ConfigOptions._parse_iterable(value)
    except AssertionError as error:
        raise LussError(f"{text}: {error}") from error
    # MMEngine knows no dicts, and looks for the comma of a list in them for ever.
    except RecursionError as error:
        raise LussError(
            f"{text}: a value is a number, a text, or a list of these; what stands in a dict has "
            "an option of its own, such as visualizer.vis_backends.1.type=WandbVisBackend"
        ) from error


def read_config(path: str, options: dict | None = None) -> Config:
    """Read an MMEngine config and merge options into it.

    Configs may inherit from those of a library (``_base_ = 'luss::pass/pass_s_photos.py'``) and
    import the package that they lie in (``custom_imports``); see :mod:`luss.config_files`.
    Stages run in the order in which they are first named; ``after='NAME'`` or ``before='NAME'``
    puts one beside another, so that a child config or an option can insert a stage.

    Args:
        path: of a ``.py`` config, or ``luss::PATH`` for one that comes with luss.
        options: dotted keys -> values, as ``--cfg-options`` gives them.

    Raises:
        LussError: if the file is missing or no config, has no stages, or sets a key that has no
            effect or looks like one that has; if an option fits nowhere or would change nothing; or
            as :func:`luss.config_checks.check_settings`.
    """
    config, unused, of_libraries = _read(path)
    if not config.get("stages"):
        raise LussError(f"{path} has no 'stages'; see configs/pass/ for examples")
    _require_stages(config)
    variables = set(config) - _read_settings(config)
    reject_misspelt(variables, _read_settings(config), path)
    _remove_runner_keys(config, unused, of_libraries, path)
    stages = list(config.stages)
    for key, value in (options or {}).items():
        reject_option(key, value, config, path, _read_settings(config), variables)
        try:
            with dicts_replace_none():
                config.merge_from_dict({key: value})
        except (KeyError, TypeError, AssertionError, IndexError) as error:
            raise LussError(
                f"the option {key}={value!r} does not fit {path}: {error}; options name settings "
                "by their place, such as stages.pretrain.train_cfg.max_epochs=10"
            ) from error
        _require_stages(config)
    _join_number_keys(config._cfg_dict)
    for name, stage in config.stages.items():
        if name not in stages and not (isinstance(stage, dict) and "type" in stage):
            raise LussError(
                f"{path} has no stage {name!r} to change{nearest(name, stages)} Its stages are: "
                f"{', '.join(stages)}; a new one needs stages.{name}.type"
            )
    check_settings(config)
    config._cfg_dict["stages"] = _in_order(config.stages, path)
    return config


class PlainConfig(Config):
    """A config of plain values, whose text takes no time; MMEngine's formatter takes a second."""

    @property
    def pretty_text(self) -> str:
        """A config file of the same settings; stages stay in their order."""
        settings = self.to_dict()
        return "".join(
            f"{key} = {pformat(settings[key], width=100, sort_dicts=False)}\n"
            for key in sorted(settings)
        )


def write_config(path: str | os.PathLike, config: Config | dict) -> None:
    """Write a config file of plain values, whole or not at all.

    Modules of ``custom_imports`` that are not installed are imported from where they lie now, by
    whoever reads the file, from any folder.
    """
    settings = config.to_dict() if isinstance(config, Config) else config
    text = PlainConfig(settings).pretty_text
    if folders := project_folders(settings.get("custom_imports")):
        found = f"[folder for folder in {folders!r} if folder not in sys.path]"
        text = f"import sys\n\nsys.path.extend({found})\n\n{text}"
    with atomic_write(path) as file:
        file.write(text.encode())


def _in_order(stages: dict, path: str) -> dict:
    """The stages, those with ``after`` or ``before`` put beside the stage that it names.

    Raises:
        LussError: if a place is that of no other stage, or a stage has two.
    """
    ordered = list(stages)
    for name, stage in stages.items():
        if not isinstance(stage, dict) or not stage.keys() & set(_PLACES):
            continue
        places = {key: stage.pop(key) for key in _PLACES if key in stage}
        (side, other), *more = places.items()
        others = [known for known in ordered if known != name]
        if more or other not in others:
            wanted = ", ".join(f"{key}={value!r}" for key, value in places.items())
            raise LussError(
                f"stages.{name} of {path} has {wanted}; expected after or before, with one of: "
                f"{', '.join(others)}"
            )
        others.insert(others.index(other) + (side == "after"), name)
        ordered = others
    return type(stages)({name: stages[name] for name in ordered})


def _read(path: str) -> tuple[Config, set[str], set[str]]:
    """Read a config with what it inherits, and import what it wants imported.

    Returns:
        The config; the names that its files assign and none of them reads; those among them that
        only files of other libraries assign.
    """
    file = library_config(str(path)) if "::" in str(path) else Path(path)
    if not file.is_file():
        raise LussError(f"there is no config {path}; see configs/ for those that come with luss")
    make_importable(file)
    try:
        with inheritance() as bases:
            config = Config.fromfile(file, import_custom_modules=False)
        files = [file.resolve(), *bases]
        unused = unused_keys(files)
        own = unused_keys([one for one in files if not bases.get(one)])
    except LussError:
        raise
    # Configs are code: whatever they raise is for their author to mend.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise LussError(f"{path} is no config to read: {type(error).__name__}: {reason}") from error
    if config.get("custom_imports"):
        import_custom_modules(config.custom_imports, path)
    return config, unused, unused - own


def _read_settings(config: Config) -> set[str]:
    """Top-level keys that the config's stages or all runs read."""
    found = set(SETTINGS)
    for stage in config.stages.values():
        kind = stage.get("type") if isinstance(stage, dict) else None
        found.update(getattr(STAGES.get(kind) if isinstance(kind, str) else kind, "settings", ()))
    return found


def _require_stages(config: Config) -> None:
    """Reject stages that are no dict, which everything else looks into."""
    if not isinstance(config.stages, Mapping):
        check_settings(config)


def _remove_runner_keys(
    config: Config, unused: set[str], of_libraries: set[str], path: str
) -> None:
    """Remove MMEngine's runner keys from the top level, where only variables may have such names.

    Raises:
        LussError: if a file sets one that no file reads.
    """
    stage_settings = {
        key for kind in STAGES.module_dict.values() for key in getattr(kind, "settings", ())
    }
    without_effect = (RUNNER_KEYS.keys() | stage_settings) - _read_settings(config)
    ignored = []
    for key in sorted(without_effect & set(config)):
        # None and False ask for nothing.
        if key in unused and config[key] is not None and config[key] is not False:
            if key not in of_libraries:
                reject_key(key, config[key], config, path)
            ignored.append(key)
        del config._cfg_dict[key]
    if ignored:
        print_log(
            f"{path} inherits {', '.join(ignored)} from another library, which have no effect at "
            "the top level; a stage takes them by {{_base_.KEY}}",
            "current",
            level=logging.WARNING,
        )


def _join_number_keys(value: Any) -> None:
    """Let options reach keys that are numbers: join what MMEngine sets as '3' to the key 3."""
    if isinstance(value, list | tuple):
        for entry in value:
            _join_number_keys(entry)
    if not isinstance(value, dict):
        return
    for key in [key for key in value if isinstance(key, str) and key.isdecimal()]:
        if (number := int(key)) in value:
            new = value.pop(key)
            joined = isinstance(new, dict) and isinstance(value[number], dict)
            value[number] = {**value[number], **new} if joined else new
    for entry in value.values():
        _join_number_keys(entry)
