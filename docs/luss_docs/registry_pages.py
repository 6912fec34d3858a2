"""A page for each registry, with every component that luss registers in it."""

import inspect
from typing import Any

from mmengine.registry import Registry

from luss import registry as registries
from luss_docs.docstrings import signature_of, summary
from luss_docs.markdown import table, toctree

__all__ = ["components_of", "registry_pages"]

ABOUT = {
    "STAGES": ("Stages", "The steps of a method. A config names them in `stages`, in order."),
    "MODELS": (
        "Models",
        "Algorithms, objectives, heads, backbones, segmentors and data preprocessors. Those of "
        "mmselfsup, mmcls and mmseg are named with their scope, as in `mmselfsup.ResNet`.",
    ),
    "DATASETS": ("Data sets", "What `data.type` names; see [Data sets](../../data_sets.md)."),
    "DATA_SAMPLERS": ("Samplers", "The order in which photos come, as in MMEngine."),
    "TRANSFORMS": ("Transforms", "Steps of a `pipeline`, from a file to a batch."),
    "EMBEDDERS": ("Embedders", "Images to embeddings: `stages.label_generation.embedding.type`."),
    "LABEL_GENERATORS": (
        "Label generators",
        "Embeddings to categories: `stages.label_generation.generator`.",
    ),
    "FOREGROUND_SOURCES": (
        "Foreground sources",
        "Photos to maps of foreground: `stages.label_generation.foreground`; see "
        "[Foreground sources](../../foreground.md).",
    ),
    "THRESHOLD_RULES": (
        "Threshold rules",
        "Maps of foreground to a threshold: `stages.label_generation.threshold`.",
    ),
    "LABEL_WRITERS": (
        "Label writers",
        "Categories and foreground to pseudo labels: `stages.label_generation.pixels.type`.",
    ),
    "MATCHERS": (
        "Matchers",
        "Generated to true categories: `stages.evaluate.matcher`.",
    ),
    "COUNT_METRICS": ("Metrics of counts", "Counts to figures: `stages.evaluate.metrics`."),
    "METRICS": ("Metrics of MMEngine", "What a `val_evaluator` or `test_evaluator` names."),
    "REPORT_SECTIONS": ("Sections of the report", "What the report shows: `report.sections`."),
    "HOOKS": ("Hooks", "What happens at moments of a run: `custom_hooks`, `default_hooks`."),
    "LOOPS": ("Loops", "How a runner goes through data: `train_cfg`, `val_cfg`, `test_cfg`."),
    "RUNNERS": ("Runners", "What runs a stage; see [Architecture](../architecture.md)."),
    "OPTIMIZERS": ("Optimizers", "`optim_wrapper.optimizer`."),
    "OPTIM_WRAPPERS": ("Optimizer wrappers", "`optim_wrapper`."),
    "OPTIM_WRAPPER_CONSTRUCTORS": (
        "Constructors of optimizer wrappers",
        "Parameters to groups with settings of their own: `optim_wrapper.constructor`.",
    ),
    "FUNCTIONS": ("Functions", "Plain functions that configs name."),
}
"""Registry -> title, and what it is for. Others are shown by the name that MMEngine gives them."""


def components_of(registry: Registry) -> dict[str, Any]:
    """Name -> class or function of those that luss registers, in alphabetical order."""
    registry.import_from_location()
    return {
        name: thing
        for name, thing in sorted(registry.module_dict.items(), key=lambda item: item[0].lower())
        if thing.__module__.split(".")[0] == "luss"
    }


def registry_pages() -> dict[str, str]:
    """The pages, and one that lists them."""
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
        "A component is a class or function in a registry, named in a config by `type`. These "
        "pages are generated from the code. How to add one: [Your own method](../projects.md).\n\n"
        + table(("registry", "in Python", "components"), rows)
        + "\n\n"
        + toctree(name.removeprefix("registries/").removesuffix(".md") for name in pages)
    )
    return {"registries/index.md": text + "\n", **pages}


def _in_order() -> list[str]:
    """Those that people write components for first, then the others."""
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
    lines.append(("In " if private else "All of it: ") + shown)
    return "\n\n".join(lines)
