"""Labels of an algorithm of another library: made, evaluated, or rejected before anything runs."""

import json

import numpy as np
import pytest
import torch
from mmengine import Config
from tiny_run import TINY, labels_evaluated, predict_train

from luss.configuration import read_config
from luss.datasets.mask_codec import read_mask
from luss.engine.checkpoint import latest_checkpoint, load
from luss.errors import LussError
from luss.models.backbone_features import BackboneFeatures
from luss.pipeline import Pipeline
from luss.registry import DATASETS, MODELS

DENSECL = TINY.with_name("tiny_densecl.py")


def read(**labels):
    """DenseCL, labels from its own backbone, and these labels against true masks."""
    config = read_config(DENSECL, {"num_workers": 0})
    stages = config.stages
    stages.pretrain.train_cfg.max_epochs = 1
    of_labels = stages.label_generation
    of_labels.update(model="${pretrain.model}", checkpoint="${pretrain.checkpoint}")
    of_labels.test_cfg.update(foreground={"type": "WholePhoto"}, threshold=0.0)
    of_labels.test_cfg.embedder.type = "PooledFeatures"
    of_labels.test_cfg.update(labels)
    stages.evaluate_labels = labels_evaluated(stages)
    stages.evaluate_labels.pop("after")
    for name in ("pixel_attention", "finetune", "evaluate", "report"):
        stages.pop(name)
    return config


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hosted")
    Pipeline(read(), str(folder)).run()
    return folder


def test_labels_are_made_from_the_features_of_the_algorithms_backbone(run):
    labels = run / "label_generation"
    config = Config.fromfile(labels / "config.py")
    weights = load(latest_checkpoint(run / "pretrain"))["state_dict"]
    model = BackboneFeatures(dict(config.model.backbone, out_indices=(4,)))
    prefix = "backbone."
    own = {k[len(prefix) :]: v for k, v in weights.items() if k.startswith(prefix)}
    model.backbone.load_state_dict(own)
    model.eval()
    preprocessor = MODELS.build(config.model.data_preprocessor)
    photos = DATASETS.build(config.test_dataloader["embedding"]["dataset"])
    rows = np.load(labels / "embeddings.npy")
    with torch.no_grad():
        for index in (0, len(photos) - 1):
            images = preprocessor({"inputs": [photos[index]["inputs"][None]]})["inputs"][0]
            expected = model.extract(images).mean(dim=(2, 3))[0]
            np.testing.assert_allclose(rows[index], expected, rtol=1e-4, atol=1e-5)


def test_its_labels_are_evaluated_as_they_were_written(run):
    results = json.loads((run / "results.json").read_text())
    assert set(results["before_fine_tuning"]) == {"val", "test"}
    predicted = predict_train(run / "evaluate_labels" / "config.py")
    written = sorted((run / "label_generation" / "pseudo_labels").glob("*/*.png"))
    assert len(written) == 18
    for path in written:
        np.testing.assert_array_equal(
            read_mask(predicted / path.parent.name / path.name), read_mask(path)
        )


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"embedder": {"type": "ImageEmbeddings"}}, "DenseCLWithObjectives.*PooledFeatures"),
        (
            {"embedder": {"type": "ForegroundEmbeddings"}, "foreground": {"type": "CentrePrior"}},
            "DenseCLWithObjectives.*attention=False",
        ),
        (
            {"foreground": {"type": "Attention"}},
            r"'attention'.*AlgorithmWithObjectives.*stages\.label_generation\.model",
        ),
    ],
)
def test_what_the_algorithm_lacks_is_named_before_the_first_stage(tmp_path, labels, message):
    config = read(**labels)
    if labels.get("embedder", {}).get("type") == "ForegroundEmbeddings":
        folder = "${label_generation.foreground}/train"
        embedding = config.stages.label_generation.test_dataloader.embedding.dataset.pipeline
        embedding.insert(2, {"type": "LoadForegroundAsMask", "folder": folder})
    with pytest.raises(LussError, match=message):
        Pipeline(config, str(tmp_path)).run()
    assert not (tmp_path / "pretrain").exists()


def test_a_backbone_that_pools_is_rejected_before_it_runs(tmp_path):
    config = read()
    head = {"type": "mmcls.ClsHead", "loss": {"type": "mmcls.CrossEntropyLoss"}}
    model = {"type": "mmcls.ImageClassifier", "head": head}
    model["backbone"] = {"type": "mmcls.VisionTransformer", "arch": "deit-tiny", "img_size": 48}
    model["backbone"].update(patch_size=8, avg_token=True, output_cls_token=False)
    config.stages.pretrain.model = model
    pipeline = Pipeline(config, str(tmp_path))
    labels = pipeline.stages["label_generation"]
    with (
        pytest.raises(LussError, match=r"expected a feature map.*avg_token=False"),
        pipeline.opened() as context,
    ):
        pipeline.check(labels, context, made=["pretrain"])
