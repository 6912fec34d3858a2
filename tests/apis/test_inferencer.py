"""An inferencer of a finished run, called as MMSegmentation's."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from luss.apis import LUSSInferencer
from luss.errors import LussError


def test_the_inferencer_takes_arrays_paths_and_folders(inferencer, finished_run, photos):
    paths = sorted(photos.rglob("*.JPEG"))[:2]
    rgb = np.array(Image.open(paths[0]))
    result = inferencer(
        [str(paths[0]), rgb, paths[1]],
        batch_size=2,
        return_datasamples=True,
        return_vis=True,
        return_logits=True,
    )
    by_path, by_array, _ = result["predictions"]
    assert np.array_equal(by_path.pred_sem_seg.data, by_array.pred_sem_seg.data)
    assert by_path.seg_logits.data.shape[0] == 7
    assert np.array_equal(result["visualization"][0], result["visualization"][1])
    bgr = LUSSInferencer(finished_run, device="cpu", channel_order="bgr")
    (turned,) = bgr(np.ascontiguousarray(rgb[..., ::-1]), return_datasamples=True)["predictions"]
    assert np.array_equal(turned.pred_sem_seg.data, by_path.pred_sem_seg.data)
    assert "seg_logits" not in turned
    assert len(inferencer(str(photos))["predictions"]) == len(list(photos.rglob("*.JPEG")))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((4, 5, 3)), r"\(4, 5, 3\) of float64; expected"),
        (np.zeros((4, 5, 2), np.uint8), "expected"),
        (np.zeros((0, 5, 3), np.uint8), "expected"),
        (7, "cannot predict a int"),
    ],
)
def test_what_is_no_photo_is_refused(inferencer, given, message):
    with pytest.raises(LussError, match=message):
        inferencer(given)


def test_unknown_devices_and_categories_are_refused(finished_run):
    with pytest.raises(LussError, match="device 'cuba'"):
        LUSSInferencer(finished_run, device="cuba")
    with pytest.raises(LussError, match="--categories is 'real'"):
        LUSSInferencer(finished_run, device="cpu", categories="real")


def test_true_categories_need_a_match(finished_run, tmp_path):
    ignored = shutil.ignore_patterns("data", "predictions", "match.json", "pretrain")
    run = shutil.copytree(finished_run, tmp_path / "run", ignore=ignored)
    with pytest.raises(LussError, match=r"there is no .*names\.json"):
        LUSSInferencer(run, device="cpu", categories="named")
    with pytest.raises(LussError, match="has no match"):
        LUSSInferencer(run, device="cpu", categories="true")
    legend = LUSSInferencer(Path(run), device="cpu").categories.legend
    assert legend.name(1) == "category 1"
