"""Outputs of a trained model by a loop of a user: registered here, and added by the config."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine import Config
from tiny_run import read_tiny, run_tiny

from luss.datasets.image_io import read_image
from luss.engine.checkpoint import latest_checkpoint, load
from luss.engine.loops import StreamingLoop
from luss.errors import LussError
from luss.files import atomic_write
from luss.pipeline import Pipeline
from luss.registry import LOOPS, MODELS, RUNNERS

WHOLE = [
    {"type": "LoadRGBImage"},
    {"type": "ResizeShortSide", "size": 48},
    {"type": "PackInputs"},
]


@LOOPS.register_module()
class EmbeddingsLoop(StreamingLoop):
    """Writes the mean feature of each training photo, (photos, channels)."""

    @torch.no_grad()
    def run(self):
        self.runner.model.eval()
        rows = []
        for batch in self.batches(self.loader("train"), "embeddings"):
            images = self.model.data_preprocessor({"inputs": [torch.stack(batch["inputs"])]})
            rows.extend(self.model.backbone(images["inputs"][0])[-1].mean(dim=(2, 3)).numpy())
        with atomic_write(Path(self.runner.work_dir) / "embeddings.npy") as file:
            np.save(file, np.stack(rows))
        return {"photos": len(rows)}


@LOOPS.register_module()
class LengthsLoop(StreamingLoop):
    """Notes the mean length of embeddings, without a model."""

    def __init__(self, runner, dataloader, evaluator=None, *, embeddings):
        super().__init__(runner, dataloader)
        self.embeddings = embeddings

    def run(self):
        return {"length": float(np.linalg.norm(np.load(self.embeddings), axis=1).mean())}


LOADER = {"splits": ["train"], "batch_size": 4, "dataset": {"pipeline": WHOLE}}
OWN = {
    "stages__embed": {
        "type": "Test",
        "after": "pretrain",
        "model": "${pretrain.model}",
        "checkpoint": "${pretrain.checkpoint}",
        "data_preprocessor": {"type": "ViewPreprocessor"},
        "test_dataloader": LOADER,
        "test_cfg": {"type": "EmbeddingsLoop"},
        "outputs": {"embeddings": "embeddings.npy"},
    },
    "stages__lengths": {
        "type": "Test",
        "after": "embed",
        "test_dataloader": LOADER,
        "test_cfg": {"type": "LengthsLoop", "embeddings": "${embed.embeddings}"},
    },
}


@pytest.fixture(scope="module")
def run(pretrained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("own") / "run"
    shutil.copytree(pretrained, folder)
    for stage in ("embed", "lengths"):
        run_tiny(folder, stage, **OWN)
    return folder


def test_a_loop_writes_an_output_of_the_trained_model(run):
    model = MODELS.build(Config.fromfile(run / "embed" / "config.py").model).eval()
    model.load_state_dict(load(latest_checkpoint(run / "pretrain"))["state_dict"])
    found = np.load(run / "embed" / "embeddings.npy")
    photos = sorted((run / "data" / "train").rglob("*.JPEG"))
    assert len(found) == len(photos) == 18
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    for row, path in zip(found, photos, strict=True):
        image = torch.from_numpy(read_image(path).copy()).permute(2, 0, 1) / 255
        with torch.no_grad():
            expected = model.backbone(((image - mean) / std)[None])[-1].mean(dim=(2, 3))[0]
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-5)
    done = json.loads((run / "embed" / "done.json").read_text())
    assert done == {"photos": 18, "outputs": {"embeddings": "embeddings.npy"}}


def test_another_stage_reads_the_output_by_its_role(run):
    pipeline = Pipeline(read_tiny(**OWN), str(run))
    assert pipeline.stages["embed"].requires == ("pretrain",)
    assert pipeline.stages["lengths"].requires == ("embed",)
    embeddings = np.load(pipeline.work_dir.outputs("embed")["embeddings"])
    expected = np.sqrt((embeddings.astype(np.float64) ** 2).sum(axis=1)).mean()
    assert pipeline.work_dir.facts("lengths")["length"] == pytest.approx(expected)
    inputs = json.loads((run / "lengths" / "inputs.json").read_text())
    assert set(inputs["stages"]) == {"embed"}


def test_an_output_that_is_not_written_is_named(pretrained, tmp_path):
    shutil.copytree(pretrained, tmp_path / "run")
    path = tmp_path / "run" / "embed" / "features.npy"
    with pytest.raises(LussError, match=rf"stages\.embed: EmbeddingsLoop .*'embeddings' to {path}"):
        run_tiny(
            tmp_path / "run", "embed", **OWN, stages__embed__outputs__embeddings="features.npy"
        )
    assert not (path.parent / "done.json").exists()


def test_the_config_of_the_stage_runs_by_itself(run, tmp_path):
    config = Config.fromfile(run / "embed" / "config.py")
    config.update(work_dir=str(tmp_path), experiment_name="again", run_log=None)
    assert RUNNERS.build(config).test() == {"photos": 18}
    written = (run / "embed" / "embeddings.npy").read_bytes()
    assert (tmp_path / "embeddings.npy").read_bytes() == written


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("stages__embed__test_cfg__type", "EmbedingsLoop", "EmbedingsLoop.*EmbeddingsLoop"),
        ("stages__lengths__test_cfg__embeddings", "${embed.embedings}", "embedings.*'embeddings'"),
        ("stages__embed__model", "${pretrian.model}", "'pretrian'.*'pretrain'"),
        ("stages__embed__data_preprocessor__type", "ViewPreprocesor", "ViewPreprocesor"),
    ],
)
def test_what_does_not_exist_is_named_before_anything_runs(tmp_path, option, value, message):
    with pytest.raises(LussError, match=message):
        run_tiny(tmp_path, **OWN, **{option: value})
    assert not (tmp_path / "pretrain").exists()
