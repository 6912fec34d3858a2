"""A finished run as an ONNX file, where the packages for it are installed."""

import importlib.util
import json
import shutil

import numpy as np
import pytest

from luss.apis import FinishedRun, LUSSInferencer
from luss.apis.onnx_export import export_onnx
from luss.commands import run_command
from luss.datasets.image_io import read_image
from luss.errors import LussError

INSTALLED = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))
needs_onnx = pytest.mark.skipif(not INSTALLED, reason="onnx and onnxruntime are not installed")


@needs_onnx
def test_one_file_gives_ids_and_names(finished_run, tmp_path, capsys):
    import onnxruntime

    path = tmp_path / "folder" / "model.onnx"
    photos = finished_run / "data" / "validation"
    run_command("export", [str(finished_run), "--out", str(path), "--photos", str(photos)])
    assert "ids as PyTorch's in " in capsys.readouterr().out
    assert [file.name for file in path.parent.iterdir()] == ["model.onnx"]
    # From elsewhere, alone.
    alone = shutil.move(path, tmp_path / "alone.onnx")
    session = onnxruntime.InferenceSession(alone, providers=["CPUExecutionProvider"])
    run = FinishedRun.read(finished_run)
    facts = session.get_modelmeta().custom_metadata_map
    names = json.loads(facts["luss.names"])
    assert names == {str(index): run.legend.name(index) for index in range(7)}
    photo = read_image(next(photos.rglob("*.JPEG")), True)
    for turned in (photo, np.ascontiguousarray(photo.transpose(1, 0, 2)), photo[:33, :50].copy()):
        ids, scores = session.run(None, {"photo": turned[None]})
        assert ids.shape == scores.shape == (1, *turned.shape[:2])
        assert (ids.dtype, scores.dtype) == (np.int64, np.float32)
        assert scores.min() > 1 / 7 - 1e-6
        assert scores.max() <= 1 + 1e-6
        (sample,) = LUSSInferencer(run)([turned], return_datasamples=True)["predictions"]
        assert (ids == sample.pred_sem_seg.data.numpy()).mean() >= 0.995


@needs_onnx
def test_ids_of_true_classes(finished_run, tmp_path):
    import onnxruntime

    run = FinishedRun.read(finished_run)
    export_onnx(run, tmp_path / "true.onnx", "true")
    session = onnxruntime.InferenceSession(tmp_path / "true.onnx")
    names = json.loads(session.get_modelmeta().custom_metadata_map["luss.names"])
    assert set(names.values()) == {"other", *(run.class_names[i - 1] for i in run.match if i)}


@needs_onnx
def test_what_cannot_be_exported_is_said_and_nothing_is_written(finished_run, tmp_path):
    run = FinishedRun.read(finished_run)
    with pytest.raises(LussError, match="is a folder; give the path of a file"):
        export_onnx(run, tmp_path)
    run.model["cam_threshold"] = 0.5
    with pytest.raises(LussError, match="cannot be exported with cam_threshold"):
        export_onnx(run, tmp_path / "model.onnx")
    run = FinishedRun.read(finished_run)
    run.pipeline.insert(2, {"type": "CenterCrop", "crop_size": 32})
    with pytest.raises(LussError, match="are prepared by LoadRGBImage, ResizeShortSide, CenterC"):
        export_onnx(run, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(INSTALLED, reason="onnx and onnxruntime are installed")
def test_missing_packages_are_named(finished_run, tmp_path):
    with pytest.raises(LussError, match=r"export needs .*onnx.* pip install 'luss\[export\]'"):
        export_onnx(FinishedRun.read(finished_run), tmp_path / "model.onnx")
