"""Files of the released code, converted, take the place of steps 1 to 3."""

import json
import shutil

import numpy as np
import pytest
import torch
from tiny_run import read_tiny

from luss.engine.checkpoint import latest_checkpoint, load
from luss.engine.convert_checkpoint import convert_checkpoint
from luss.pipeline import Pipeline

KINDS = {
    "pretrain": "pretrained",
    "pixel_attention": "pixel_attention",
    "finetune": "finetuned",
}
QUEUE = 9


@pytest.fixture(scope="module")
def released(finished_run, tmp_path_factory):
    """Stage -> its checkpoint with the names of the released code."""
    folder = tmp_path_factory.mktemp("released")
    paths = {stage: folder / f"{stage}.pth.tar" for stage in KINDS}
    for stage, path in paths.items():
        source = latest_checkpoint(finished_run / stage)
        convert_checkpoint(source, path, to="authors", kind=KINDS[stage])
        assert all(name.startswith("module.") for name in load(path)["state_dict"])
    return paths


def test_a_fine_tuned_file_is_evaluated(tmp_path, finished_run, released):
    shutil.copytree(finished_run, tmp_path / "run")
    path = tmp_path / "converted.pth"
    convert_checkpoint(released["finetune"], path, to="luss", kind="finetuned")
    Pipeline(read_tiny(), str(tmp_path / "run")).evaluate(checkpoint=str(path))
    before, after = (
        json.loads((tmp_path / "run" / name).read_text())["fully_unsupervised"]
        for name in ("results.json", "results_converted.json")
    )
    assert after == before


@pytest.mark.parametrize("converted", [False, True])
def test_steps_1_and_2_from_files(tmp_path, finished_run, released, converted):
    """Labels are made from the files as from the run that they came from."""
    files = {stage: {"file": str(path), "layout": "pass"} for stage, path in released.items()}
    if converted:
        files["pretrain"] = str(tmp_path / "pretrained.pth")
        convert_checkpoint(released["pretrain"], files["pretrain"], to="luss", kind="pretrained")
    # The queue of its stage is in no released file.
    files["pixel_attention"] = str(tmp_path / "pixel_attention.pth")
    convert_checkpoint(
        released["pixel_attention"],
        files["pixel_attention"],
        to="luss",
        kind="pixel_attention",
        queue_length=QUEUE,
    )
    config = read_tiny()
    for stage in ("pretrain", "pixel_attention"):
        config.stages[stage].update(pretrained=files[stage])
    config.stages.label_generation.test_cfg.generator = {
        "type": "GivenCentroids",
        "file": str(finished_run / "label_generation" / "centroids.npz"),
    }
    pipeline = Pipeline(config, str(tmp_path / "run"))
    for stage in ("pretrain", "pixel_attention", "label_generation"):
        pipeline.run(stage)
    taken = load(tmp_path / "run" / "pretrain" / "iter_0.pth")["state_dict"]
    trained = load(latest_checkpoint(finished_run / "pretrain"))["state_dict"]
    assert taken.keys() == trained.keys() - {"objectives.clustering.queue"}
    assert all(torch.equal(value, trained[name]) for name, value in taken.items())
    ours, theirs = (root / "label_generation" for root in (finished_run, tmp_path / "run"))
    assert np.array_equal(np.load(ours / "embeddings.npy"), np.load(theirs / "embeddings.npy"))
    assert (ours / "threshold.json").read_bytes() == (theirs / "threshold.json").read_bytes()
    labels = sorted(ours.glob("pseudo_labels/*/*.png"))
    assert labels
    for path in labels:
        assert path.read_bytes() == (theirs / path.relative_to(ours)).read_bytes()
