"""One page per registry, with all components that luss registers."""

import inspect
from typing import Any

from mmengine.registry import Registry

from luss import registry as registries
from luss_docs.docstrings import signature_of, summary
from luss_docs.markdown import table, toctree

__all__ = ["components_of", "registry_pages"]

ABOUT = {
    "STAGES": (
        "Stages",
        "Kinds of stages: `stages.NAME.type`. `Train` and `Test` are runners of MMEngine.",
    ),
    "PROTOCOLS": (
        "Protocols",
        "How a `Test` stage evaluates a model: `stages.NAME.protocol`; see "
        "[Evaluation](../../stages/evaluate.md) and [Other protocols](../../stages/protocols.md).",
    ),
    "RULES": (
        "Rules",
        "Values that depend on the data. `dict(type=RULE, ...)` in the settings of a stage is "
        "replaced by the value of the rule, which `WORK_DIR/<stage>/config.py` shows. The first "
        "argument, `context`, is filled in.",
    ),
    "MODELS": (
        "Models",
        "Algorithms, objectives, heads, backbones, segmentors and data preprocessors. Write "
        "those of mmselfsup, mmcls and mmseg with their scope, as in `mmselfsup.ResNet`.",
    ),
    "DATASETS": ("Data sets", "Values of `data.type`; see [Data sets](../../data_sets.md)."),
    "DATA_SAMPLERS": ("Samplers", "The order of the photos, as in MMEngine."),
    "TRANSFORMS": ("Transforms", "Steps of a `pipeline`, from a file to a batch."),
    "EMBEDDERS": (
        "Embedders",
        "Images to embeddings: `stages.label_generation.test_cfg.embedder`.",
    ),
    "LABEL_GENERATORS": (
        "Label generators",
        "Embeddings to categories: `stages.label_generation.test_cfg.generator`.",
    ),
    "FOREGROUND_SOURCES": (
        "Foreground sources",
        "Photos to foreground maps: `stages.label_generation.test_cfg.foreground`; see "
        "[Foreground sources](../../foreground.md).",
    ),
    "THRESHOLD_RULES": (
        "Threshold rules",
        "Foreground maps to a threshold: `stages.label_generation.test_cfg.threshold`, which may "
        "also be a number, or the [rule](rules.md) `AutoThreshold`.",
    ),
    "LABEL_WRITERS": (
        "Label writers",
        "Categories and foreground to pseudo labels: `stages.label_generation.test_cfg.writer`.",
    ),
    "MATCHERS": (
        "Matchers",
        "Generated to true categories: `matcher` at the top level of the configs of PASS, for the "
        "threshold and the evaluation alike.",
    ),
    "COUNT_METRICS": (
        "Metrics of counts",
        "Counts to metrics: `stages.evaluate.protocol.metrics`.",
    ),
    "METRICS": ("Metrics of MMEngine", "Metrics for `val_evaluator` and `test_evaluator`."),
    "REPORT_SECTIONS": ("Sections of the report", "Values of `report.sections`."),
    "HOOKS": ("Hooks", "Actions at points of a run: `custom_hooks`, `default_hooks`."),
    "LOOPS": ("Loops", "Iteration over the data: `train_cfg`, `val_cfg`, `test_cfg`."),
    "CHECKS": (
        "Checks of loops",
        "Functions with the name of a test loop, called before the first stage starts.",
    ),
    "RUNNERS": ("Runners", "Classes that run a stage; see [Architecture](../architecture.md)."),
    "OPTIMIZERS": ("Optimizers", "`optim_wrapper.optimizer`."),
    "OPTIM_WRAPPERS": ("Optimizer wrappers", "`optim_wrapper`."),
    "OPTIM_WRAPPER_CONSTRUCTORS": (
        "Constructors of optimizer wrappers",
        "Parameter groups with their own settings: `optim_wrapper.constructor`.",
    ),
    "FUNCTIONS": ("Functions", "Plain functions for configs."),
}
"""Registry -> title and description. Other registries have the name of MMEngine as title."""


def components_of(registry: Registry) -> dict[str, Any]:
    """Return the classes and functions that luss registers, in alphabetical order."""
    registry.import_from_location()
    return {
        name: thing
        for name, thing in sorted(registry.module_dict.items(), key=lambda item: item[0].lower())
        if thing.__module__.split(".")[0] == "luss"
    }


def registry_pages() -> dict[str, str]:
    """Return the pages, and an index of them."""
    pages, rows = {}, []
    for name in _in_order():
        registry = getattr(registries, name)
        components = components_of(registry)
        if not components:
            continue
        title, about = ABOUT.get(name, (registry.name.capitalize(), ""))
        page = name.lower()
        pages[f"registries/{page}.md"] = _page(name, title, about, components)
        rows.append((f"[{title}]({page}.md)", f"`luss.registry.{name}`", len(components)))
    text = (
        "# Registries\n\n"
        "A component is a class or function in a registry; configs select it by `type`. These "
        "pages are generated from the code. To add one, see [Your own method](../projects.md).\n\n"
        + table(("registry", "in Python", "components"), rows)
        + "\n\n"
        + toctree(name.removeprefix("registries/").removesuffix(".md") for name in pages)
    )
    return {"registries/index.md": text + "\n", **pages}


def _in_order() -> list[str]:
    """Return the registries; those with user components come first."""
    return [*ABOUT, *(name for name in registries.__all__ if name not in ABOUT)]


def _page(registry: str, title: str, about: str, components: dict[str, Any]) -> str:
    parts = [f"# {title}\n\n`luss.registry.{registry}`. {about}"]
    names: dict[int, list[str]] = {}
    for name, thing in components.items():
        names.setdefault(id(thing), []).append(name)
    for first, *others in names.values():
        parts.append(_component(first, others, components[first]))
    return "\n\n".join(parts) + "\n"


def _component(name: str, others: list[str], thing: Any) -> str:
    role = "class" if inspect.isclass(thing) else "func"
    full = f"{thing.__module__}.{thing.__qualname__}"
    private = thing.__name__.startswith("_")
    shown = f"`{thing.__module__}`" if private else f"{{py:{role}}}`{full}`"
    also = f" Also called {', '.join(f'`{other}`' for other in others)}." if others else ""
    lines = [f"## {name}", f"```python\n{name}{signature_of(thing)}\n```"]
    if text := summary(thing):
        lines.append(text + also)
    lines.append(("In " if private else "Details: ") + shown)
    return "\n\n".join(lines)
