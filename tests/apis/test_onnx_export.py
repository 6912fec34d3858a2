"""A finished run as an ONNX file, where the packages for it are installed."""

import importlib.util
import json
import shutil
from logging.handlers import BufferingHandler

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmseg.structures import SegDataSample

from luss.apis import FinishedRun, LUSSInferencer
from luss.apis.onnx_export import compare, drawn_pictures, export_onnx, traced
from luss.apis.onnx_model import PhotoSegmentor
from luss.commands import run_command
from luss.datasets.image_io import read_image
from luss.datasets.transforms.resizing import resize_image, short_side_size
from luss.errors import LussError
from luss.registry import MODELS

INSTALLED = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))
needs_onnx = pytest.mark.skipif(not INSTALLED, reason="onnx and onnxruntime are not installed")


@needs_onnx
def test_one_file_gives_ids_and_names(finished_run, tmp_path, capsys):
    import onnxruntime

    path = tmp_path / "folder" / "model.onnx"
    photos = finished_run / "data" / "validation"
    log = BufferingHandler(1000)
    # A new one becomes the current logger.
    MMLogger.get_instance(str(tmp_path), logger_name="luss").addHandler(log)
    run_command("export", [str(finished_run), "--out", str(path), "--photos", str(photos)])
    assert "have PyTorch's ids" in capsys.readouterr().out
    lines = [record.getMessage() for record in log.buffer]
    given = [line for line in lines if line.startswith(f"{photos}/")]
    assert len(given) == 6
    assert not [line for line in lines if line.startswith("prediction")]
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
    with pytest.raises(LussError, match="it is a folder, expected the path of a file"):
        export_onnx(run, tmp_path)
    run.model["cam_threshold"] = 0.5
    with pytest.raises(LussError, match="PassSegmentor with cam_threshold"):
        export_onnx(run, tmp_path / "model.onnx")
    run = FinishedRun.read(finished_run)
    run.pipeline.insert(2, {"type": "CenterCrop", "crop_size": 32})
    with pytest.raises(LussError, match="is LoadRGBImage, ResizeShortSide, CenterC"):
        export_onnx(run, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(INSTALLED, reason="onnx and onnxruntime are installed")
def test_missing_packages_are_named(finished_run, tmp_path):
    with pytest.raises(LussError, match=r"export needs .*onnx.* pip install 'luss\[export\]'"):
        export_onnx(FinishedRun.read(finished_run), tmp_path / "model.onnx")


CONVNEXT = {
    "type": "mmcls.ConvNeXt",
    "arch": {"depths": [1] * 4, "channels": [8, 16, 24, 32]},
    "out_indices": (2, 3),
    "gap_before_final_norm": False,
}
VIT = {
    "type": "mmcls.VisionTransformer",
    "arch": {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 16},
    "img_size": 32,
    "patch_size": 8,
    "out_indices": [0, 1],
}


@needs_onnx
@pytest.mark.parametrize(
    ("backbone", "head", "scales", "fits"),
    [
        (CONVNEXT, "PassHead", (1,), True),
        (CONVNEXT, "PassHead", (1, 1.43), True),
        (CONVNEXT, "CentroidHead", (1,), True),
        (VIT, "PassHead", (1,), False),
    ],
)
def test_every_size_is_compared(backbone, head, scales, fits):
    """A transformer traced at one size would label photos of that shape alone."""
    torch.manual_seed(0)
    init_default_scope("luss")
    normalisation = {"mean": [123.0, 116.0, 103.0], "std": [58.0, 57.0, 57.0]}
    model = MODELS.build(
        {
            "type": "PassSegmentor",
            "scales": scales,
            "backbone": backbone,
            "decode_head": {"type": head, "in_index": -1, "num_classes": 7},
            "data_preprocessor": {"type": "mmseg.SegDataPreProcessor", **normalisation},
        }
    ).eval()
    torch.nn.init.normal_(model.decode_head.conv_seg.weight)
    if head == "CentroidHead":
        model.decode_head.fill(torch.randn(6, 32) / 32**0.5, 0.3)

    @torch.no_grad()
    def expected(photo):
        size = photo.shape[:2]
        resized = resize_image(photo, *short_side_size(size[1], size[0], 64))
        sample = SegDataSample(metainfo={"ori_shape": size})
        batch = {"inputs": [torch.from_numpy(resized).permute(2, 0, 1)], "data_samples": [sample]}
        return model.test_step(batch)[0].pred_sem_seg.data[0].numpy()

    content = traced(PhotoSegmentor(model, 64, 1024, range(7)).eval())
    agreement = compare(content, expected, drawn_pictures(64))
    if fits:
        agreement.require()
    else:
        with pytest.raises(LussError, match=r"differs from PyTorch.* Transformers"):
            agreement.require()
