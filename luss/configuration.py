"""Read configs and options; settings without effect are rejected."""

import argparse
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from pprint import pformat
from typing import Any

from mmengine import Config, DictAction
from mmengine.config import ConfigDict
from mmengine.logging import print_log

from luss.config_checks import check_settings
from luss.config_files import (
    import_custom_modules,
    inheritance,
    library_config,
    make_importable,
    merging,
    project_folders,
)
from luss.errors import LussError, nearest
from luss.files import atomic_write
from luss.references import references_in, resolve_settings, settings_of
from luss.registry import FUNCTIONS, STAGES
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
"""Top-level keys of every run; stages may add more (``Stage.settings``)."""

_TEXTS = frozenset(
    {
        "checkpoint",
        "data_root",
        "file",
        "folder",
        "mask_root",
        "match",
        "pretrained",
        "title",
        "weights",
        "work_dir",
    }
)
"""Last parts of keys whose values are strings and not parsed, such as folder names."""

_PLACES = ("after", "before")
"""Keys that set a stage's place; without them, stages run in the order of definition."""


class ConfigOptions(DictAction):
    """``--cfg-options``, parsed as in MMEngine, except that folder names and titles are strings.

    MMEngine removes spaces from strings, and parses 'a,b' and '2024' as a list and a number.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: list[str],
        option_string: str | None = None,
    ) -> None:
        """Add ``KEY=VALUE`` strings to the options."""
        options = dict(getattr(namespace, self.dest, None) or {})
        for text in values:
            try:
                key, value = read_option(text)
            except LussError as error:
                parser.error(f"{option_string} {error}")
            options[key] = value
        setattr(namespace, self.dest, options)


def read_option(text: str) -> tuple[str, Any]:
    """Parse ``KEY=VALUE`` as ``--cfg-options`` does; return key and value.

    Raises:
        LussError: if there is no key or '=', or brackets do not match.
    """
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise LussError(f"is {text!r}, expected KEY=VALUE")
    try:
        is_text = key.rpartition(".")[2] in _TEXTS and value != "None"
        return key, value if is_text else ConfigOptions._parse_iterable(value)
    except AssertionError as error:
        raise LussError(f"{text}: {error}") from error
    # MMEngine does not parse dicts, and recurses without end.
    except RecursionError as error:
        raise LussError(
            f"{text}: the value is a dict, expected a number, a string, or a list of these; set "
            "each entry of a dict, such as visualizer.vis_backends.1.type=WandbVisBackend"
        ) from error


def read_config(path: str, options: dict | None = None) -> Config:
    """Read an MMEngine config and merge options into it.

    Configs may inherit from those of a library (``_base_ = 'luss::pass/pass_s_photos.py'``) and
    import their own package (``custom_imports``); see :mod:`luss.config_files`. Stages run in the
    order of definition; with ``after='NAME'`` or ``before='NAME'``, a child config or an option
    inserts a stage, and ``stages.NAME = None`` removes an inherited one.
    ``backbone = dict(preset=NAME, weights=FILE)`` sets all settings of a pretrained backbone, see
    :func:`luss.models.backbones.presets.expand_preset`.

    Args:
        path: of a ``.py`` config, or ``luss::PATH`` for a config of luss.
        options: dotted keys -> values; parsed ``--cfg-options``.

    Raises:
        LussError: if the file is missing, not a config, or has no stages; if a key or an option
            has no effect; or as :func:`luss.config_checks.check_settings`.
    """
    config, unused, of_libraries = _read(path)
    if not config.get("stages"):
        raise LussError(f"{path} has no 'stages'; see configs/pass/ for examples")
    _require_stages(config)
    _remove_stages(config)
    variables = set(config) - _read_settings(config)
    reject_misspelt(variables, _read_settings(config), path)
    _remove_runner_keys(config, unused, of_libraries, path)
    stages = list(config.stages)
    # First those that references in stages take the value of, then those of stages. A preset
    # replaces the backbone, so other options of the backbone come after it.
    given = sorted(
        (options or {}).items(),
        key=lambda option: (option[0].startswith("stages"), option[0] != "backbone.preset"),
    )
    has_values = False
    for key, value in given:
        if key.startswith("stages") and not has_values:
            _give_values(config, path)
            has_values = True
        reject_option(key, value, config, path, _read_settings(config), variables)
        try:
            with merging():
                config.merge_from_dict({key: value})
        except (KeyError, TypeError, AssertionError, IndexError) as error:
            raise LussError(
                f"the option {key}={value!r} does not fit {path}: {error}; give the complete key "
                "of a setting, such as stages.pretrain.train_cfg.max_epochs=10"
            ) from error
        _require_stages(config)
        _remove_stages(config)
    _give_values(config, path)
    _join_number_keys(config._cfg_dict)
    for name, stage in config.stages.items():
        if name not in stages and not (isinstance(stage, dict) and "type" in stage):
            raise LussError(
                f"{path} has no stage {name!r}{nearest(name, stages)} Its stages are: "
                f"{', '.join(stages)}; to add a stage, set stages.{name}.type"
            )
    check_settings(config)
    config._cfg_dict["stages"] = _in_order(config.stages, path)
    return config


class PlainConfig(Config):
    """A config of plain values, formatted without MMEngine's formatter, which takes a second."""

    @property
    def pretty_text(self) -> str:
        """Text of a config file with the same settings and the same order of stages."""
        settings = self.to_dict()
        return "".join(
            f"{key} = {pformat(settings[key], width=100, sort_dicts=False)}\n"
            for key in sorted(settings)
        )


def write_config(path: str | os.PathLike, config: Config | dict) -> None:
    """Write a config file of plain values atomically.

    The file adds the folders of ``custom_imports`` that are not installed to ``sys.path``, so that
    it can be read from any folder.
    """
    settings = config.to_dict() if isinstance(config, Config) else config
    text = PlainConfig(settings).pretty_text
    if folders := project_folders(settings.get("custom_imports")):
        found = f"[folder for folder in {folders!r} if folder not in sys.path]"
        text = f"import sys\n\nsys.path.extend({found})\n\n{text}"
    with atomic_write(path) as file:
        file.write(text.encode())


def _in_order(stages: dict, path: str) -> dict:
    """Return the stages in order, with ``after`` and ``before`` applied.

    Raises:
        LussError: if a place does not name another stage, or a stage has both.
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
                f"stages.{name} of {path} has {wanted}, expected either after or before, with one "
                f"of: {', '.join(others)}"
            )
        others.insert(others.index(other) + (side == "after"), name)
        ordered = others
    return type(stages)({name: stages[name] for name in ordered})


def _read(path: str) -> tuple[Config, set[str], set[str]]:
    """Read a config with its bases, and import its ``custom_imports``.

    Returns:
        The config; names that its files assign but never read; those of them that only files of
        other libraries assign.
    """
    file = library_config(str(path)) if "::" in str(path) else Path(path)
    if not file.is_file():
        raise LussError(f"there is no config {path}; see configs/ for the configs of luss")
    make_importable(file)
    try:
        with inheritance() as bases:
            config = Config.fromfile(file, import_custom_modules=False)
        files = [file.resolve(), *bases]
        unused = unused_keys(files)
        own = unused_keys([one for one in files if not bases.get(one)])
    except LussError:
        raise
    # A config is code that may raise any exception.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise LussError(
            f"cannot read {path} as a config: {type(error).__name__}: {reason}"
        ) from error
    if config.get("custom_imports"):
        import_custom_modules(config.custom_imports, path)
    return config, unused, unused - own


def _give_values(config: Config, path: str) -> None:
    """Put settings of the top level in the place of the references to them, ``${config.NAME}``.

    Before, ``backbone = dict(preset=NAME, weights=FILE)`` is replaced by the settings of this name.
    """
    entry = config._cfg_dict.get("backbone")
    if isinstance(entry, Mapping) and "preset" in entry:
        expand = FUNCTIONS.get("expand_preset")
        settings = expand(config._cfg_dict, _read_settings(config), path)
        # update() would merge the dicts.
        for key, value in settings.items():
            config._cfg_dict[key] = value
    settings = {key: value for key, value in config._cfg_dict.items() if key != "stages"}
    stages = resolve_settings(config.stages, settings, f"{path}: stages")
    config._cfg_dict["stages"] = ConfigDict(stages)


def _read_settings(config: Config) -> set[str]:
    """Return the top-level keys that all runs or the config's stages read."""
    found = set(SETTINGS)
    for stage in config.stages.values():
        kind = stage.get("type") if isinstance(stage, dict) else None
        found.update(getattr(STAGES.get(kind) if isinstance(kind, str) else kind, "settings", ()))
    return found.union(settings_of(list(references_in(config.stages, "stages"))))


def _require_stages(config: Config) -> None:
    """Check that 'stages' is a dict."""
    if not isinstance(config.stages, Mapping):
        check_settings(config)


def _remove_stages(config: Config) -> None:
    """Remove the stages that a child config or an option has set to None."""
    stages = {name: stage for name, stage in config.stages.items() if stage is not None}
    config._cfg_dict["stages"] = ConfigDict(stages)


def _remove_runner_keys(
    config: Config, unused: set[str], of_libraries: set[str], path: str
) -> None:
    """Remove variables named like runner keys of MMEngine from the top level.

    Raises:
        LussError: if a file sets such a key, and no file reads it.
    """
    of_stages = {
        key for kind in STAGES.module_dict.values() for key in getattr(kind, "settings", ())
    }
    without_effect = (RUNNER_KEYS.keys() | of_stages | {"weights"}) - _read_settings(config)
    ignored = []
    for key in sorted(without_effect & set(config)):
        # None and False are as if unset.
        if key in unused and config[key] is not None and config[key] is not False:
            if key not in of_libraries:
                reject_key(key, config[key], config, path)
            ignored.append(key)
        del config._cfg_dict[key]
    if ignored:
        print_log(
            f"{path} inherits {', '.join(ignored)} from another library, which have no effect at "
            "the top level; use {{_base_.KEY}} in a stage",
            "current",
            level=logging.WARNING,
        )


def _join_number_keys(value: Any) -> None:
    """Merge keys such as '3', which MMEngine creates for options, into the key 3."""
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
