"""Stages are found by what they write: any of them may have any name."""

import re
import shutil

import pytest
from tiny_run import TINY

from luss.apis import FinishedRun
from luss.apis.name_categories import name_categories
from luss.configuration import read_config
from luss.pipeline import Pipeline

NAMES = {
    "pretrain": "features",
    "pixel_attention": "where",
    "label_generation": "labels",
    "finetune": "masks",
    "evaluate": "measure",
    "report": "page",
}


def renamed_tiny():
    """The tiny config with every stage renamed, and nothing else changed."""
    config = read_config(TINY, {"num_workers": 0})
    stages = config.stages
    stages.label_generation.model_from = "pixel_attention"
    stages.finetune.labels_from = "label_generation"
    stages.evaluate.update(model_from="finetune", labels_from="label_generation")
    stages.report.requires = ("label_generation", "evaluate")
    for stage in stages.values():
        for key in ("model_from", "labels_from"):
            if key in stage:
                stage[key] = NAMES[stage[key]]
        if "requires" in stage:
            stage["requires"] = tuple(NAMES[name] for name in stage["requires"])
        for part in stage.get("init", ()):
            stage["init"][part] = f"${{{NAMES['pretrain']}.checkpoint}}"
    config._cfg_dict["stages"] = type(stages)({NAMES[n]: stage for n, stage in stages.items()})
    return config


@pytest.fixture(scope="module")
def renamed(tmp_path_factory):
    work_dir = tmp_path_factory.mktemp("renamed") / "run"
    Pipeline(renamed_tiny(), str(work_dir)).run()
    return work_dir


def shown(page):
    """The text of a page without markup, figures of time, and names of stages."""
    text = re.sub(r"<style>.*?</style>|<[^>]*>", " ", page.read_text(), flags=re.S)
    text = text[: text.index("Provenance", text.index("Training"))]
    for old, new in NAMES.items():
        text = re.sub(rf"\b{new}\b", old, text)
    return re.sub(r"\s+", " ", text)


def test_the_report_is_the_same(renamed, tmp_path, finished_run):
    work_dir = tmp_path / "run"
    shutil.copytree(finished_run, work_dir)
    Pipeline(read_config(TINY, {"num_workers": 0}), str(work_dir)).run("report")
    pages = renamed / "page" / "index.html", work_dir / "report" / "index.html"
    first, second = map(shown, pages)
    assert "categories discovered in 18 training images" in first
    assert first == second
    pictures = [sorted(p.name for p in page.parent.rglob("*.jpg")) for page in pages]
    assert pictures[0] == pictures[1]


def test_prediction_and_names_find_the_outputs(renamed):
    run = FinishedRun.read(renamed)
    assert run.stage == "measure"
    assert run.match is not None
    assert run.clustering_file == renamed / "labels" / "centroids.npz"
    assert name_categories(renamed).page.is_file()
