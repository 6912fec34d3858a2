"""Runs side by side."""

import html
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from luss.errors import LussError
from luss.visualization.comparison import build_comparison


@pytest.fixture
def runs(run, tmp_path):
    """The small run, and one whose predictions are true ids and right."""
    right = tmp_path / "right" / "semi_supervised"
    shutil.copytree(run.data / "validation-segmentation", right / "predictions" / "validation")
    table = {"semi_supervised": {"val": {"mIoU": 98.765, "F_beta": None}}}
    (tmp_path / "right" / "results.json").write_text(json.dumps(table))
    return {"first": run.work_dir / "evaluate", "<right>": right}


def pictures_of(path):
    return sorted((path.parent / "pictures").glob("*.jpg"))


def test_a_row_is_photo_truth_and_each_method(run, runs, tmp_path):
    path = build_comparison(tmp_path / "out", runs, run.validation, "validation")
    page = path.read_text(encoding="utf-8")
    assert page.count("<img") == 6 * 4 == len(pictures_of(path))
    assert "<td>12.35</td>" in page or "<td>12.34</td>" in page
    assert "<td>98.77</td>" in page or "<td>98.76</td>" in page
    assert "&lt;right&gt;" in page
    shown = [np.asarray(Image.open(each)).astype(int) for each in pictures_of(path)]
    palette = np.array(run.validation.metainfo["palette"])
    for place in range(6):
        photo, truth, first, right = shown[4 * place : 4 * place + 4]
        centre = photo.shape[0] // 2, photo.shape[1] // 2
        grey = photo[centre] @ (0.299, 0.587, 0.114)
        expected = 0.6 * palette[1 + place // 2] + 0.4 * grey
        for picture in (truth, first, right):
            assert np.abs(picture[centre] - expected).max() < 30


def test_photos_are_spread_and_the_page_is_replaced(run, runs, tmp_path):
    build_comparison(tmp_path / "out", runs, run.validation, "validation")
    path = build_comparison(tmp_path / "out", runs, run.validation, "validation", max_photos=2)
    assert len(pictures_of(path)) == 2 * 4
    page = html.unescape(path.read_text(encoding="utf-8"))
    ids = [run.validation.get_data_info(index)["image_id"] for index in (0, 5)]
    assert [page.count(f"Photo {each}") for each in ids] == [1, 1]
    assert page.count("Photo ") == 2


def test_a_missing_prediction_is_named_in_its_place(run, runs, tmp_path):
    image_id = run.validation.get_data_info(0)["image_id"]
    (run.work_dir / f"evaluate/predictions/validation/{image_id}.png").unlink()
    path = build_comparison(tmp_path / "out", runs, run.validation, "validation")
    assert len(pictures_of(path)) == 6 * 4 - 1
    assert 'class="notice"' in path.read_text(encoding="utf-8")


def test_what_cannot_be_compared_is_refused(run, runs, tmp_path):
    with pytest.raises(LussError, match="no predictions of test"):
        build_comparison(tmp_path / "out", runs, run.validation, "test")
    with pytest.raises(LussError, match="work is not empty"):
        build_comparison(run.work_dir, runs, run.validation, "validation")
    assert (run.work_dir / "results.json").exists()
    with pytest.raises(LussError, match="max_photos is 0"):
        build_comparison(tmp_path / "out", runs, run.validation, "validation", max_photos=0)
