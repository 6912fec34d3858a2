"""Sections of the foreground analysis, and its plots."""

import json

import numpy as np
import pytest
from PIL import Image

from luss.evaluation.ladder import RUNGS
from luss.label_generation.map_folder import MapFolder
from luss.visualization.analysis_plots import plot_analysis

SECTIONS = ["ladder", "foreground", "channels"]


def source(auc):
    curve = {"thresholds": [0, 0.5, 1], "IoU": [30, 40, 0], "F_beta": [35, 50, 0]}
    return {
        "AUC within images": auc,
        "AUC over images": 0.75,
        "best IoU": 40.0,
        "best F_beta": 50.0,
        "best mIoU": 12.5,
        "curves": curve,
    }


@pytest.fixture
def analysed(run, note):
    """The small run, with what an analysis of two of its photos leaves."""
    folder = run.work_dir / "foreground_analysis"
    found = {
        "split": "validation",
        "images": 6,
        "own_source": "Attention",
        "sources": {"Attention": source(0.5125), "<near & far>": source(None)},
        "embeddings": {"true masks": {"accuracy": 61.25, "NMI": 55.55}},
        "ladder": {"pseudo labels": dict(zip(RUNGS, (90.0, 20.0, 17.0, 7.5), strict=True))},
        "attention": {
            "channels": 128,
            "deviation of the mean": 0.02,
            "mean deviation of a channel": 0.136,
            "mean correlation of channels": 0.04,
            "shown channels": [7, 3],
        },
    }
    # From 0.4 to 0.5, rising to the right.
    values = np.tile(np.linspace(0.4, 0.5, 16), (12, 1))
    for index in (1, 4):
        image_id = run.validation.get_data_info(index)["image_id"]
        for place in ("maps/Attention", "channels/mean", "channels/7", "channels/3"):
            MapFolder(folder / place).write("validation", image_id, values)
    (folder / "analysis.json").write_text(json.dumps(found))
    note(run.work_dir)
    return run


def page_of(run, build, sections=SECTIONS):
    path = build(run.work_dir, run.train, run.validation, "validation", "A run", sections)
    return path, path.read_text(encoding="utf-8")


def test_without_an_analysis_the_sections_are_absent(run, build):
    _, page = page_of(run, build, [*SECTIONS, "metrics"])
    assert page.count("<section") == 1
    assert 'href="#ladder"' not in page


def test_the_ladder_names_its_rungs_and_figures(analysed, build):
    _, page = page_of(analysed, build)
    for title in RUNGS.values():
        assert title in page
    for figure in ("90.0", "20.0", "17.0", "7.5", "61.2", "0.512", "12.5"):
        assert f"<td>{figure}</td>" in page
    assert "&lt;near &amp; far&gt;" in page
    # An AUC that is not defined.
    assert "<td>–</td>" in page


def test_photos_with_maps_are_shown_and_maps_are_stretched(analysed, build):
    path, page = page_of(analysed, build)
    # Two photos; a map of attention, then the mean and two channels.
    assert page.count("<img") == 2 * (1 + 1) + 2 * (1 + 3)
    assert page.count("Channel 7 for") == 2
    picture = np.asarray(Image.open(path.parent / "foreground" / "00002.jpg")).astype(int)
    # Viridis from dark violet to yellow.
    assert np.abs(picture[5, 1] - (68, 1, 84)).max() < 25
    assert np.abs(picture[5, -2] - (253, 231, 37)).max() < 25


def test_maps_of_another_split_are_not_sought_among_these_photos(analysed, build):
    path = analysed.work_dir / "foreground_analysis/analysis.json"
    content = json.loads(path.read_text()) | {"split": "test"}
    path.write_text(json.dumps(content))
    _, page = page_of(analysed, build)
    assert "There are no maps of photos of test" in page


def test_a_model_without_attention_has_no_channels(analysed, build):
    path = analysed.work_dir / "foreground_analysis/analysis.json"
    content = json.loads(path.read_text())
    del content["attention"]
    path.write_text(json.dumps(content))
    _, page = page_of(analysed, build)
    assert "Channels of attention" not in page


def test_plots_are_pictures(analysed, tmp_path):
    found = json.loads((analysed.work_dir / "foreground_analysis/analysis.json").read_text())
    paths = plot_analysis(found, tmp_path)
    assert [path.name for path in paths] == ["thresholds.png", "auc.png", "ladder.png"]
    for path in paths:
        with Image.open(path) as picture:
            assert np.asarray(picture.convert("L")).std() > 5
