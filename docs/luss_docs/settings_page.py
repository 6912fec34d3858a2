"""The page of all settings: those of the top level, and those of each stage."""

import inspect

from luss.configuration import SETTINGS
from luss.registry import STAGES
from luss_docs.docstrings import argument_texts, defaults_of, summary
from luss_docs.markdown import table
from luss_docs.registry_pages import components_of

__all__ = ["TOP_LEVEL", "settings_page", "top_level_settings"]

TOP_LEVEL = {
    "stages": "the steps of the method: name -> `type` and settings, in order",
    "data_root": "folder of the photos; one option moves the whole pipeline",
    "data": "`type` of the data set, `auto` to look at the folders, and its settings",
    "num_categories": "how many categories are discovered; `None` reads it off class folders",
    "seed": "of everything random",
    "num_workers": "processes that load data, for each process that trains; 0 for none",
    "weights": "a file from which the backbone starts; with a `PretrainStage` nothing is trained "
    "in its place",
    "default_hooks": "as in MMEngine, for all stages; those of a stage are merged into them",
    "env_cfg": "as in MMEngine: `cudnn_benchmark`, `mp_cfg`, `dist_cfg`, `resource_limit`",
    "log_level": "as in MMEngine",
    "log_processor": "as in MMEngine",
    "visualizer": "as in MMEngine: back ends such as TensorBoard's",
    "auto_scale_lr": "`base_batch_size`: the images of a step for which rates are written, for "
    "`--auto-scale-lr`",
    "custom_imports": "as in MMEngine: packages that register components",
    "work_dir": "folder of the run, unless `--work-dir` says it",
}
"""Top-level setting -> what it is."""

_INTRODUCTION = """# Settings

A config is a Python file that MMEngine reads. Any setting may be changed on the command line by its
place: `--cfg-options seed=1 stages.finetune.train_cfg.max_epochs=10`. An option that would change
nothing, and a key that nothing reads, are errors which name the nearest known one.

The whole configuration of a stage, with all that is filled in, stands in
`WORK_DIR/<stage>/config.py` once the stage has begun. This page is generated from the code; what
components take stands on the pages of their [registries](registries/index.md)."""


def top_level_settings() -> set[str]:
    """All top-level keys that luss or one of its stages reads."""
    found = set(SETTINGS)
    for kind in components_of(STAGES).values():
        found.update(kind.settings)
    return found


def settings_page() -> str:
    """The page.

    Raises:
        KeyError: if a setting is not described here.
    """
    known = top_level_settings()
    missing = known - TOP_LEVEL.keys()
    if missing:
        raise KeyError(f"describe {', '.join(sorted(missing))} in docs/luss_docs/settings_page.py")
    parts = [_INTRODUCTION, "## Top level"]
    rows = [(f"`{name}`", text) for name, text in TOP_LEVEL.items() if name in known]
    parts.append(table(("setting", "meaning"), rows))
    for name, kind in components_of(STAGES).items():
        parts += [f"## {name}", summary(kind), _stage_table(kind)]
        if changed := ", ".join(f"`{setting}`" for setting in kind.settings):
            parts.append(f"Of the top level it reads {changed}; they belong to its output.")
    return "\n\n".join(parts) + "\n"


def _stage_table(kind: type) -> str:
    texts = argument_texts(kind)
    rows = []
    for name, default in defaults_of(kind).items():
        if name in ("name", "args"):
            continue
        shown = "needed" if default is inspect.Parameter.empty else f"`{_short(default)}`"
        rows.append((f"`{name}`", shown, texts.get(name, "")))
    if "runner" in texts:
        rows.append(("others", "", texts["runner"]))
    rows += [
        ("`after`, `before`", "", "name of a stage, for the place of one that a child config adds")
    ]
    return table(("setting", "default", "meaning"), rows)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
