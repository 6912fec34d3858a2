"""Label generation and training from stored features, and from photos."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from luss.configuration import read_config
from luss.engine.loops.label_generation_loop import LabelGenerationLoop
from luss.errors import LussError
from luss.models.backbone_features import BackboneFeatures
from luss.pipeline import Pipeline
from luss.planning.foregrounds import PRETRAINED
from luss.registry import MODELS

RESNET = {
    "type": "mmcls.ResNet",
    "depth": 18,
    "base_channels": 8,
    "stem_channels": 8,
    "out_indices": [2, 3],
    "_delete_": True,
}
LOAD = [{"type": "LoadRGBImage"}, {"type": "ResizeShortSide", "size": 64}]
PACK = {"type": "PackInputs"}
READ_MAPS = {"type": "LoadForegroundAsMask", "folder": "${label_generation.foreground}/train"}
LABELS = "stages.label_generation."
FOREGROUND = {
    "type": "MeanOfRanks",
    "sources": [{"type": "FrameDistance"}, {"type": "BoundaryPrior"}],
    "_delete_": True,
}
FROM_PHOTOS = {
    f"{LABELS}test_dataloader.embedding.dataset.pipeline": [*LOAD, READ_MAPS, PACK],
    f"{LABELS}test_dataloader.pixels.dataset.pipeline": [*LOAD, PACK],
    f"{LABELS}test_dataloader.validation.dataset.pipeline": [*LOAD, PACK],
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Nine photos of three sizes, a random network, and the settings for them."""
    root = tmp_path_factory.mktemp("data")
    (root / "photos").mkdir()
    rng = np.random.default_rng(0)
    for index in range(9):
        size = [(64, 80), (64, 76), (72, 72)][index % 3]
        pixels = rng.integers(0, 90, (*size, 3), dtype=np.uint8)
        pixels[20:50, 10:50, index % 3] = 230
        Image.fromarray(pixels).save(root / "photos" / f"{index}.png")
    torch.manual_seed(0)
    network = {key: value for key, value in RESNET.items() if key != "_delete_"}
    torch.save(MODELS.build(network).state_dict(), root / "weights.pth")
    return {
        "data_root": str(root / "photos"),
        "num_categories": 3,
        "num_workers": 0,
        "backbone": RESNET,
        "weights": {"file": str(root / "weights.pth"), "layout": "torchvision", "_delete_": True},
        "short_side": 64,
        "stages.finetune.train_dataloader.batch_size": 4,
        f"{LABELS}test_dataloader.embedding.batch_size": 1,
        f"{LABELS}test_cfg.foreground": FOREGROUND,
    }


def pipeline_of(settings, work_dir, until, **options):
    config = read_config(PRETRAINED, {**settings, **options})
    names = list(config.stages)
    for name in names[names.index(until) + 1 :]:
        del config.stages[name]
    return Pipeline(config, str(work_dir))


@pytest.fixture(scope="module")
def labelled(settings, tmp_path_factory):
    """A run from stored features until labels are generated; do not write to it."""
    work_dir = tmp_path_factory.mktemp("run") / "stored"
    pipeline_of(settings, work_dir, "label_generation").run()
    return work_dir


def outputs_of(work_dir):
    folder = work_dir / "label_generation"
    names = ["embeddings.npy", "threshold.json"]
    paths = [folder / name for name in names] + sorted(folder.rglob("*.png"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_labels_are_those_of_the_network(settings, labelled, tmp_path):
    pipeline = pipeline_of(settings, tmp_path, "label_generation", **FROM_PHOTOS)
    assert pipeline.stages["label_generation"].requires == ("pretrain",)
    pipeline.run()
    found = outputs_of(labelled)
    assert len(found) == 2 + 9 + 9
    assert found == outputs_of(tmp_path)


def test_only_the_features_stage_runs_the_network(settings, labelled, tmp_path, monkeypatch):
    assert (labelled / "features" / "maps" / "train" / "features.json").exists()

    def run(loop):
        with monkeypatch.context() as patch:
            patch.setattr(BackboneFeatures, "extract", None)
            patch.setattr(loop.model, "backbone", torch.nn.Identity())
            return original(loop)

    original = LabelGenerationLoop.run
    monkeypatch.setattr(LabelGenerationLoop, "run", run)
    pipeline_of(settings, tmp_path, "label_generation").run()
    assert outputs_of(tmp_path) == outputs_of(labelled)


def test_stages_depend_on_the_features(settings, labelled):
    stages = pipeline_of(settings, labelled, "finetune").stages
    assert stages["features"].requires == ("pretrain",)
    assert set(stages["label_generation"].requires) == {"pretrain", "features"}
    assert set(stages["finetune"].requires) == {"pretrain", "features", "label_generation"}


def test_the_disk_must_be_large_enough(settings, tmp_path, monkeypatch):
    """9 photos of 64 x 80, 64 x 76 and 64 x 64 px, and 128 and 256 bytes for each cell."""
    sides = [(64, 80), (64, 76), (64, 64)]
    cells = 64 / 16 * 80 / 16 * 128 + 64 / 32 * -(-80 // 32) * 256
    # The maps of the first photo per pixel, times the pixels of the photos that are looked at.
    pixels = np.mean([sides[place % 3][0] * sides[place % 3][1] for place in range(5)])
    needed = cells / (64 * 80) * pixels * 9
    usage = type(shutil.disk_usage(tmp_path))
    for free in (int(needed) - 1, int(needed) + 1):
        free_now = usage(total=1, used=0, free=free)
        monkeypatch.setattr(shutil, "disk_usage", lambda path, found=free_now: found)
        pipeline = pipeline_of(settings, tmp_path, "features")
        if free < needed:
            with pytest.raises(LussError, match="precision='half'"):
                pipeline.run()
            assert not (tmp_path / "pretrain").exists()
        else:
            pipeline.run()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {f"{LABELS}test_cfg.foreground": {"type": "FeatureCut", "_delete_": True}},
            r"test_dataloader\.pixels only loads their features.* finer=1",
        ),
        (
            {f"{LABELS}test_cfg.embedder.attention": True},
            "StoredFeatures has no method embed_images",
        ),
        ({"stages.features.test_cfg.precision": "double"}, "'double', expected single or half"),
        (
            {
                "stages.finetune.model.data_preprocessor.augmentations": [
                    {"type": "ColorJitter", "brightness": 0.1}
                ]
            },
            "augmentations do not change stored features",
        ),
        ({"stages.finetune.model.frozen_backbone": False}, "frozen_backbone=True"),
        (
            {
                "stages.evaluate.refiner": None,
                "stages.evaluate.test_dataloader.dataset.pipeline": [
                    {"type": "LoadFeatures", "folder": "${features.features}/train"},
                    PACK,
                ],
            },
            r"stages\.evaluate\.test_dataloader .* load photos",
        ),
    ],
)
def test_what_does_not_fit_is_rejected_before_anything_runs(settings, tmp_path, options, message):
    with pytest.raises(LussError, match=message):
        pipeline_of({**settings, **options}, tmp_path, "evaluate").run()
    assert not (tmp_path / "pretrain").exists()
