"""One page per config: results, cost, and all settings with their sources."""

import functools
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine import Config

from luss.configuration import read_config
from luss_docs.figures import PAPER, measured
from luss_docs.links import REPOSITORY
from luss_docs.markdown import table, toctree

__all__ = ["model_pages"]

CONFIGS = REPOSITORY / "configs"
GROUPS = {
    "pass": "PASS",
    "semi_supervised": "Semi-supervised",
    "distance_matching": "Distance matching",
    "ablations": "Ablations",
}
TRAINING_IMAGES = {50: 64_431, 300: 384_862, 919: 1_183_322}
WHOLE_IMAGENET = 1_281_167
LABELLED_IMAGES = {50: 500, 300: 3_000, 919: 9_190}


def model_pages() -> dict[str, str]:
    """Return the pages, and a comparison of them."""
    pages = {}
    for folder, title in GROUPS.items():
        names = sorted(path.stem for path in (CONFIGS / folder).glob("*.py"))
        rows = []
        for name in names:
            page = ModelPage(f"{folder}/{name}.py")
            pages[f"models/{folder}/{name}.md"] = page.text()
            rows.append((f"[{name}]({folder}/{name}.md)", page.about(), page.paper(), page.ours()))
        listed = toctree(f"{folder}/{name}" for name in names)
        parts = [
            f"# {title}",
            f"The configs of `configs/{folder}/`.",
            table(("config", "description", "paper", "ours"), rows),
            listed.replace("\n\n", "\n:hidden:\n\n"),
        ]
        pages[f"models/{folder}.md"] = "\n\n".join(parts) + "\n"
    return {"models/index.md": f"# Models\n\n{_INTRODUCTION}\n\n{toctree(GROUPS, 1)}\n", **pages}


_INTRODUCTION = """\
Results of the paper are test mIoU in percent. See [What was measured](../results.md) for our
results and their commands. luss has no released weights; it can load those of the released PASS,
see [External weights](../../weights.md). These pages are generated from the configs and from the
facts that tests compare with the configs."""


class ModelPage:
    """The page of a config.

    Args:
        name: path below ``configs/``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = CONFIGS / name
        self.config = _read(name)

    def about(self) -> str:
        """Return the first sentence of the comment at the top of the file."""
        text = _opening(self.path)
        first = re.split(r"(?<=[.:])\s+(?=[A-Z-])", text)[0].rstrip(".:")
        return first if first else self.path.stem

    def paper(self) -> str:
        """Return the paper's test mIoU for the protocol of the config."""
        rows = PAPER.get(self.name)
        return f"{rows[0][1]['mIoU'][1]}" if rows else ""

    def ours(self) -> str:
        """Return 'measured' if RESULTS.md has results of the config."""
        return "measured" if measured(self.name) else ""

    def text(self) -> str:
        """Return the page."""
        parts = [f"# {self.path.stem}", self._opening_text(), self._facts(), *self._figures()]
        parts += self._cost()
        parts += self._settings()
        parts += [
            "## The config",
            "Other settings are inherited. `WORK_DIR/<stage>/config.py` contains the complete "
            "config of a stage once the stage has started.",
            f"```python\n{self.path.read_text(encoding='utf-8').strip()}\n```",
        ]
        return "\n\n".join(part for part in parts if part) + "\n"

    def _opening_text(self) -> str:
        text = _opening(self.path)
        text = re.sub(r"--cfg-options (\S+=\S+?)([.,;:]?)(?=\s|$)", r"`--cfg-options \1`\2", text)
        return re.sub(r"\$\{\S+?\}", r"`\g<0>`", text)

    def _facts(self) -> str:
        config = self.config
        stages = ", ".join(f"`{name}` ({_kind(stage)})" for name, stage in config.stages.items())
        rows = [
            ("inherits", ", ".join(f"`{base}`" for base in _bases(self.path)) or "nothing"),
            ("data", f"`{config.get('data', {}).get('type', 'auto')}`"),
            ("backbone", _backbone(config)),
            ("stages", stages),
            ("seed", config.get("seed", 0)),
        ]
        return table(("file", f"`configs/{self.name}`"), rows)

    def _figures(self) -> list[str]:
        parts = ["## Results"]
        if rows := PAPER.get(self.name):
            shown = [
                (where, *(_val_test(figures.get(metric)) for metric in _METRICS))
                for where, figures in rows
            ]
            parts += ["Paper, percent, val / test:"]
            parts += [table(("", *_METRICS), shown)]
        for found in measured(self.name):
            anchor = re.sub(r"[^\w -]", "", found.heading.lower()).replace(" ", "-")
            parts.append(f"Ours, from [{found.heading}](../../results.md#{anchor}):")
            parts.append(table(found.columns, found.rows))
        if len(parts) == 1:
            parts.append("The paper has no results for this config, and luss was not measured.")
        elif not self.ours():
            parts.append("Ours: not measured.")
        return parts

    def _cost(self) -> list[str]:
        rows = []
        for name, stage in self.config.stages.items():
            loop = stage.get("train_cfg", {})
            if "max_epochs" not in loop:
                continue
            crops = _crops(stage)
            images = self._images(stage)
            views = f"{images * loop['max_epochs'] / 1e6:.1f} million" if images else "-"
            rows.append(
                (
                    f"`{name}`",
                    loop["max_epochs"],
                    stage.get("train_dataloader", {}).get("batch_size", "-"),
                    crops,
                    views,
                )
            )
        if not rows:
            return ["## Cost", "No training: each photo passes the network once."]
        columns = ("stage", "epochs", "batch per process", "crops per image", "image views")
        return ["## Cost", table(columns, rows)]

    def _images(self, stage: dict) -> int | None:
        match = re.search(r"_in(50|300|919)", self.name)
        if not match:
            return None
        split = stage.get("train_dataloader", {}).get("dataset", {}).get("split", "train")
        if split == "train-full":
            return WHOLE_IMAGENET
        if split == "train-semi":
            return LABELLED_IMAGES[int(match[1])]
        return TRAINING_IMAGES[int(match[1])]

    def _settings(self) -> list[str]:
        published, of_split = _facts_of_tests()
        if self.name not in published:
            return []
        split, tables = published[self.name]
        parts = [
            "## Settings and their sources",
            "A test compares these rows with the objects that the config builds. The source 'code' "
            "is the released code. For its differences from the paper, see "
            "[Deviations](../../../deviations.md).",
        ]
        for stage, rows in tables.items():
            shown = [
                (setting, _value(value[split] if isinstance(value, of_split) else value), source)
                for source, setting, value in _sourced(rows)
            ]
            parts += [f"### {stage}", table(("setting", "value", "source"), shown)]
        return parts


_METRICS = ("mIoU", "b-mIoU", "Img-Acc", "F_beta")


def _val_test(figures: tuple[float | None, float] | None) -> str:
    if figures is None:
        return ""
    val, test = figures
    return f"{'-' if val is None else val} / {test}"


@functools.cache
def _read(name: str) -> Config:
    return read_config(CONFIGS / name)


def _opening(path: Path) -> str:
    """Return the comment at the top of a file, each paragraph as one line."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# "))
    return "\n\n".join(part.replace("\n", " ") for part in "\n".join(lines).split("\n\n"))


def _bases(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    match = re.search(r"^_base_ = (\[.*?\]|.*?)$", text, re.DOTALL | re.MULTILINE)
    return re.findall(r'"([^"]+)"', match[1]) if match else []


def _kind(stage: dict) -> str:
    """Return the type of a stage, with its protocol or test loop."""
    part = stage.get("protocol") or stage.get("test_cfg") or {}
    return ", ".join(f"`{kind}`" for kind in (stage["type"], part.get("type")) if kind)


def _backbone(config: Config) -> str:
    for stage in config.stages.values():
        model = stage.get("model")
        backbone = model.get("backbone") if isinstance(model, Mapping) else None
        if isinstance(backbone, Mapping):
            depth = f" {backbone['depth']}" if "depth" in backbone else ""
            return f"`{backbone['type']}`{depth}"
    return "-"


def _crops(stage: dict) -> str:
    """Return number and side of the crops per image of a stage."""
    found = []
    for step in stage.get("train_dataloader", {}).get("dataset", {}).get("pipeline", []):
        for view in step.get("views", []):
            found.append(f"{view['count']} of {view['size']}")
        if step.get("type") == "RandomResizedCropWithMask":
            found.append(f"1 of {step['size']}")
    return ", ".join(dict.fromkeys(found)) or "-"


@functools.cache
def _facts_of_tests() -> tuple[dict, type]:
    """Import ``PUBLISHED`` of ``tests/configs``, and the type of values that differ by split."""
    folder = str(REPOSITORY / "tests" / "configs")
    sys.path.insert(0, folder)
    try:
        from facts import Of
        from facts_of_configs import PUBLISHED
    finally:
        sys.path.remove(folder)
    return PUBLISHED, Of


def _sourced(rows: list) -> list:
    """Return rows of settings with short sources; later rows replace earlier ones."""
    named = {
        name: (_source(source), name, value)
        for source, name, value in rows
        if source and name not in _UNREADABLE
    }
    return list(named.values())


def _source(source: str) -> str:
    """Return the source of a setting; 'paper, code' if it names neither."""
    if source.startswith("ours"):
        return "luss"
    if "C only" in source or source.startswith("C:") or "(C)" in source or "in C" in source:
        return "code"
    if "(P)" in source:
        return "paper"
    if source.startswith("PixPro"):
        return "luss, an assumption" if "assumption" in source else "PixPro"
    return "paper, code"


_UNREADABLE = ("convolutions", "rate of layers")
"""Settings with one value per layer."""


def _value(value: Any) -> str:
    # Rates of all epochs, as a test compares them.
    if hasattr(value, "expected"):
        return f"from `{value.expected[0]:.3g}` to `{value.expected[-1]:.3g}`"
    text = _plain(value)
    return f"`{text}`" if len(text) <= _LONGEST else f"`{text[: _LONGEST - 3]}...`"


_LONGEST = 400


def _plain(value: Any) -> str:
    """Return a value as text: ``Name(setting=value)`` for a component."""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], dict):
        return f"{value[0]}({_plain(value[1])})"
    if isinstance(value, dict):
        return ", ".join(f"{name}={_plain(entry)}" for name, entry in value.items())
    if isinstance(value, set | frozenset):
        return ", ".join(sorted(map(_plain, value))) or "none"
    if isinstance(value, list | tuple):
        inside = ", ".join(map(_plain, value))
        return f"({inside})" if isinstance(value, tuple) else inside
    return str(value)
