"""The page of all settings: the top level, each kind of stage, protocols and test loops."""

import inspect

from luss.configuration import SETTINGS
from luss.engine.loops import StreamingLoop
from luss.pipeline import Context
from luss.references import FACTS, Reference, settings_of
from luss.registry import LOOPS, PROTOCOLS, STAGES
from luss_docs.docstrings import argument_texts, defaults_of, summary
from luss_docs.markdown import table
from luss_docs.registry_pages import components_of

__all__ = ["OF_PASS", "TOP_LEVEL", "settings_page", "top_level_settings"]

TOP_LEVEL = {
    "stages": "the steps of the method: name -> `type` and settings, in order",
    "data_root": "folder of the photos, for all stages",
    "data": "`type` of the data set (`auto` detects it from the folders) and its settings",
    "num_categories": "number of categories to discover; `None` uses the number of class folders",
    "seed": "seed of all random numbers",
    "num_workers": "data loading processes per training process; 0 for none",
    "weights": "an external file with the weights of a backbone, for stages with "
    "`${facts.weights}`; in the configs of PASS, it replaces pretraining",
    "default_hooks": "as in MMEngine, for all stages; hooks of a stage are merged into them",
    "env_cfg": "as in MMEngine: `cudnn_benchmark`, `mp_cfg`, `dist_cfg`, `resource_limit`",
    "log_level": "as in MMEngine",
    "log_processor": "as in MMEngine",
    "visualizer": "as in MMEngine: back ends such as TensorBoard's",
    "auto_scale_lr": "`base_batch_size`: images per step for the given learning rates, used by "
    "`--auto-scale-lr`",
    "custom_imports": "as in MMEngine: packages that register components",
    "work_dir": "folder of the run; `--work-dir` overrides it",
}
"""Top-level setting -> description."""

OF_PASS = {
    "backbone": "of all stages that train; widths of the other parts are inferred from it. "
    "`dict(preset=NAME, weights=FILE)` is a published one, see [External weights](../weights.md)",
    "hidden_channels": "of all projectors",
    "short_side": "of complete photos, for labels and evaluation",
    "crop_size": "of crops",
    "mean": "of red, green and blue in [0, 1], for normalisation",
    "std": "standard deviations of the same",
    "view_std": "`std` of the augmented views of pretraining and pixel attention",
    "multiple": "number of pixels that divides the sides of complete photos, such as the patch of "
    "a vision transformer; `None` for any sides",
    "matcher": "which true category each discovered one gets, for the threshold and the evaluation",
}
"""Top-level setting that the configs of PASS define -> description."""

_INTRODUCTION = """# Settings

A config is a Python file for MMEngine. The command line can override any setting by its path:
`--cfg-options seed=1 stages.finetune.train_cfg.max_epochs=10`. Options without an effect and unused
keys are errors, which suggest the most similar known key.

`WORK_DIR/<stage>/config.py` contains the complete config of a stage once the stage has started.
This page is generated from the code. For the arguments of components, see the pages of their
[registries](registries/index.md)."""

_OWN = """A config may define further settings: any top-level name that a stage refers to as
`${config.NAME}` (see [Training](../training.md#references-between-stages)). The configs of PASS
define these:"""

_OF_LOOPS = ("runner", "dataloader", "evaluator")
"""Arguments of test loops that the runner passes."""


def top_level_settings() -> set[str]:
    """Return all top-level keys that luss, one of its stages or a fact reads."""
    found = {*SETTINGS, *settings_of([Reference(FACTS, fact, "") for fact in Context.facts])}
    for kind in components_of(STAGES).values():
        found.update(kind.settings)
    return found


def settings_page() -> str:
    """Return the page.

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
    parts.append(_OWN)
    parts.append(table(("setting", "meaning"), [(f"`{k}`", text) for k, text in OF_PASS.items()]))
    parts.append("## Stages\n\n`stages.NAME` with `type`:")
    for name, kind in components_of(STAGES).items():
        position = ("`after`, `before`", "", "name of a stage: the position of an added stage")
        parts += [f"### {name}", summary(kind), _table(kind, ("name", "args"), position)]
        if changed := ", ".join(f"`{setting}`" for setting in kind.settings):
            parts.append(f"The output also depends on these top-level settings: {changed}.")
    parts.append(
        "## Protocols\n\n`stages.NAME.protocol` with `type`, in a stage of the type `Test`:"
    )
    for name, kind in components_of(PROTOCOLS).items():
        parts += [f"### {name}", summary(kind), _table(kind)]
    parts.append(
        "## Test loops\n\n`stages.NAME.test_cfg` with `type`, in a stage of the type `Test`:"
    )
    for name, kind in components_of(LOOPS).items():
        if issubclass(kind, StreamingLoop):
            parts += [f"### {name}", summary(kind), _table(kind, _OF_LOOPS)]
    return "\n\n".join(parts) + "\n"


def _table(kind: type, without: tuple[str, ...] = (), *more: tuple[str, str, str]) -> str:
    """Return the table of a class's arguments, and further rows."""
    texts = argument_texts(kind)
    rows = []
    for name, default in defaults_of(kind).items():
        if name in without:
            continue
        shown = "required" if default is inspect.Parameter.empty else f"`{_short(default)}`"
        rows.append((f"`{name}`", shown, texts.get(name, "")))
    if "runner" in texts and "runner" not in without:
        rows.append(("other keys", "", texts["runner"]))
    return table(("setting", "default", "meaning"), [*rows, *more])


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
