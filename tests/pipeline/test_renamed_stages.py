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


def renamed(value):
    """Return nested settings in which references name the new stages."""
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)\.", lambda m: f"${{{NAMES.get(m[1], m[1])}.", value)
    if isinstance(value, dict):
        return {key: renamed(entry) for key, entry in value.items()}
    return [renamed(each) for each in value] if isinstance(value, list | tuple) else value


def renamed_tiny():
    """The tiny config with every stage renamed, and nothing else changed."""
    config = read_config(TINY, {"num_workers": 0})
    stages = type(config.stages)(renamed(config.stages.to_dict()))
    config._cfg_dict["stages"] = type(stages)({NAMES[n]: stage for n, stage in stages.items()})
    return config


@pytest.fixture(scope="module")
def renamed_run(tmp_path_factory):
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


def test_the_report_is_the_same(renamed_run, tmp_path, finished_run):
    work_dir = tmp_path / "run"
    shutil.copytree(finished_run, work_dir)
    Pipeline(read_config(TINY, {"num_workers": 0}), str(work_dir)).run("report")
    pages = renamed_run / "page" / "index.html", work_dir / "report" / "index.html"
    first, second = map(shown, pages)
    assert "categories discovered in 18 training images" in first
    assert first == second
    pictures = [sorted(p.name for p in page.parent.rglob("*.jpg")) for page in pages]
    assert pictures[0] == pictures[1]


def test_prediction_and_names_find_the_outputs(renamed_run):
    run = FinishedRun.read(renamed_run)
    assert run.stage == "measure"
    assert run.match is not None
    assert run.clustering_file == renamed_run / "labels" / "centroids.npz"
    assert name_categories(renamed_run).page.is_file()
