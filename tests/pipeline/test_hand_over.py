"""What one step of a whole run hands to the next, read off what a finished run left."""

import json
import shutil

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope
from tiny_run import read_tiny

from luss.datasets.image_io import read_image
from luss.datasets.mask_codec import read_mask
from luss.engine.checkpoint import latest_checkpoint, load
from luss.pipeline import Pipeline
from luss.pipeline.resolving import resolved_stage
from luss.registry import MODELS

PARTS = ("backbone.", "objectives.clustering.projector.")
PROTOTYPES = "objectives.clustering.prototypes.weight"


@pytest.fixture(scope="module")
def weights(finished_run):
    """Function from a stage to its last weights."""
    return lambda stage: load(latest_checkpoint(finished_run / stage))["state_dict"]


@pytest.fixture(scope="module")
def runner_of(finished_run, tmp_path_factory):
    """Function from a stage to its runner, before the first iteration, in a copy of the run."""
    copy = tmp_path_factory.mktemp("copy") / "run"
    shutil.copytree(finished_run, copy)
    pipeline = Pipeline(read_tiny(), str(copy))

    def build(stage):
        with pipeline.opened() as context:
            runner = resolved_stage(pipeline.stages[stage], context).build_runner(context)
            runner._init_model_weights()
        return runner

    return build


def test_step_2_starts_from_prototypes_and_projector_of_step_1(runner_of, weights):
    before, after = weights("pretrain"), runner_of("pixel_attention").model.state_dict()
    for name, value in after.items():
        if name.startswith(PARTS) or name == PROTOTYPES:
            assert torch.equal(value, before[name]), name
    # The queue starts empty; step 1 left its own full.
    assert before["objectives.clustering.queue"].any()
    assert not after["objectives.clustering.queue"].any()


def test_step_2_leaves_backbone_and_projector_but_moves_their_statistics(weights):
    before, after = weights("pretrain"), weights("pixel_attention")
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    for name in after:
        if name.startswith(PARTS):
            moved = not torch.equal(before[name], after[name])
            assert moved == name.endswith(statistics), name
    assert not torch.equal(before[PROTOTYPES], after[PROTOTYPES])


def test_prototypes_of_step_2_are_those_of_step_1_moved_a_little(weights):
    first, last = (
        F.normalize(weights(stage)[PROTOTYPES], dim=1) for stage in ("pretrain", "pixel_attention")
    )
    similarity = last @ first.T
    assert torch.equal(similarity.argmax(dim=1), torch.arange(len(first)))
    assert similarity.diagonal().min() > 0.9


def test_step_3_starts_from_step_1_not_step_2(runner_of, weights):
    start, first, second = (
        runner_of("finetune").model.state_dict(),
        weights("pretrain"),
        weights("pixel_attention"),
    )
    name = "backbone.layer4.1.bn2.running_mean"
    assert not torch.equal(first[name], second[name])
    for name in start:
        if name.startswith("backbone."):
            assert torch.equal(start[name], first[name]), name


def test_pseudo_labels_are_where_attention_is(finished_run, weights):
    """Each label restated from the photo on: features, attention, centroids, threshold."""
    init_default_scope("luss")
    config = read_tiny()
    model = MODELS.build(config.stages.pixel_attention.model)
    model.load_state_dict(weights("pixel_attention"))
    model.eval()
    folder = finished_run / "label_generation"
    threshold = json.loads((folder / "threshold.json").read_text())["threshold"]
    with np.load(folder / "centroids.npz") as arrays:
        centroids = F.normalize(torch.from_numpy(arrays["centroids"]), dim=1)
    mean, std = (
        torch.tensor(value)[:, None, None]
        for value in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    agree = shown = pixels = 0
    paths = sorted(folder.glob("pseudo_labels/*/*.png"))
    for path in paths:
        (photo,) = (finished_run / "data" / "train" / path.parent.name).glob(f"{path.stem}.*")
        image = torch.from_numpy(read_image(photo)).permute(2, 0, 1) / 255
        with torch.no_grad():
            z = F.interpolate(model.extract(((image - mean) / std)[None]), scale_factor=4,
                              mode="bilinear")  # fmt: skip
            unit = F.normalize(z, dim=1)
            attention = torch.sigmoid(model.attention.atten(unit) + model.attention.threshold)
        mask = torch.from_numpy(read_mask(path))
        attention = F.interpolate(attention.mean(dim=1, keepdim=True), size=mask.shape,
                                  mode="bilinear")[0, 0]  # fmt: skip
        ids = torch.einsum("cl,lhw->chw", centroids, unit[0]).argmax(dim=0) + 1
        ids = F.interpolate(ids[None, None].float(), size=mask.shape, mode="nearest")[0, 0].long()
        expected = torch.where(attention < threshold, 0, ids)
        agree += int((mask == expected).sum())
        shown += int((mask > 0).sum())
        pixels += mask.numel()
    assert agree >= 0.999 * pixels
    assert 0.1 * pixels < shown < 0.9 * pixels


@pytest.mark.parametrize("stage", ["pretrain", "pixel_attention"])
def test_the_seed_of_a_stage_reaches_its_data_set(stage, tmp_path):
    """It cuts other views than the run's seed, and the same as if it were the run's."""

    def views(name, **options):
        pipeline = Pipeline(read_tiny(**options), str(tmp_path / name))
        with pipeline.opened() as context:
            dataset = context.dataset(pipeline.stages[stage].dataset_config(context))
            return dataset[0]["geometry"]

    of_run, of_stage = views("run", seed=31), views("stage", **{f"stages__{stage}__seed": 31})
    assert torch.equal(of_run, of_stage)
    assert not torch.equal(of_run, views("other"))
