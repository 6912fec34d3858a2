"""Foreground maps of any pretrained backbone."""

import shutil

import cv2
import numpy as np
import pytest
import torch
from mmengine import Config
from tiny_run import read_tiny, run_tiny

from luss.datasets.image_io import read_image
from luss.engine.checkpoint import load
from luss.errors import LussError
from luss.label_generation.foreground.colours import to_lab
from luss.label_generation.foreground.feature_cut import normalised_cut, oriented_by_frame
from luss.pipeline import Pipeline
from luss.registry import MODELS

WHOLE = [
    {"type": "LoadRGBImage"},
    {"type": "ResizeShortSide", "size": 48},
    {"type": "PackInputs"},
]
CUT = {
    "stages__foreground": {
        "type": "Test",
        "before": "pixel_attention",
        "model": {"type": "BackboneFeatures", "backbone": "${pretrain.model.backbone}"},
        "weights": "${pretrain.checkpoint}",
        "data_preprocessor": {"type": "ViewPreprocessor"},
        "test_dataloader": {"splits": "${facts.splits}", "dataset": {"pipeline": WHOLE}},
        "test_cfg": {"type": "ForegroundLoop", "foreground": {"type": "FeatureCut", "finer": 1}},
    }
}
ATTENTION = {"type": "Attention", "_delete_": True}


def model_of(folder):
    """The model of a stage as its own config builds it, with random weights, and one photo's way
    into it."""
    model = MODELS.build(Config.fromfile(folder / "config.py").model).eval()

    def prepared(path):
        image = read_image(path)
        assert image.shape[:2] == (48, 48)
        inputs = torch.from_numpy(image.copy()).permute(2, 0, 1)[None]
        return image, model.data_preprocessor({"inputs": [inputs]})["inputs"][0]

    return model, prepared


def maps_and_photos(root):
    folder = root / "foreground" / "maps"
    for path in sorted(folder.rglob("*.png")):
        photo = root / "data" / path.relative_to(folder).with_suffix(".JPEG")
        yield cv2.imread(str(path), cv2.IMREAD_UNCHANGED) / 255, photo


def cut_by_hand(root, state):
    """Maps and what they should be, of a backbone's weights by its own names."""
    model, prepared = model_of(root / "foreground")
    assert [name for name, _ in model.named_children() if name != "data_preprocessor"] == [
        "backbone"
    ]
    model.backbone.load_state_dict(state)
    for values, path in maps_and_photos(root):
        image, inputs = prepared(path)
        with torch.no_grad():
            features = model.backbone(inputs)[-1][0].permute(1, 2, 0).numpy()
        small = cv2.resize(image, features.shape[1::-1], interpolation=cv2.INTER_AREA)
        yield values, oriented_by_frame(normalised_cut(features, to_lab(small)))


def backbone_of(checkpoint):
    state = load(checkpoint)["state_dict"]
    return {k.removeprefix("backbone."): v for k, v in state.items() if k.startswith("backbone.")}


def test_the_pretrained_features_are_cut(pretrained, tmp_path):
    shutil.copytree(pretrained, tmp_path / "run")
    run_tiny(tmp_path / "run", "foreground", **CUT)
    state = backbone_of(tmp_path / "run" / "pretrain" / "iter_12.pth")
    pairs = list(cut_by_hand(tmp_path / "run", state))
    assert len(pairs) == 18 + 6 + 6
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected, atol=0.51 / 255)


def test_a_backbone_from_a_file_is_cut(pretrained, tmp_path):
    """Nothing but the backbone is there: the file has no projectors."""
    state = backbone_of(pretrained / "pretrain" / "iter_12.pth")
    torch.save({"state_dict": state}, tmp_path / "backbone.pth")
    weights = {"weights": str(tmp_path / "backbone.pth")}
    for stage in ("pretrain", "foreground"):
        run_tiny(tmp_path / "run", stage, **weights, **CUT)
    for found, expected in cut_by_hand(tmp_path / "run", state):
        np.testing.assert_allclose(found, expected, atol=0.51 / 255)


def test_a_backbone_of_any_algorithm_is_cut(tmp_path):
    """SimSiam has no method that gives features."""
    backbone = read_tiny().stages.pretrain.model.backbone.to_dict()
    neck = {
        "type": "NonLinearNeck",
        "hid_channels": 8,
        "out_channels": 8,
        "num_layers": 3,
        "with_avg_pool": True,
    }
    predictor = {**neck, "in_channels": 8, "num_layers": 2, "with_avg_pool": False}
    head = {
        "type": "LatentPredictHead",
        "loss": {"type": "CosineSimilarityLoss"},
        "predictor": predictor,
    }
    model = {
        "_delete_": True,
        "type": "AlgorithmWithObjectives",
        "algorithm": {"type": "mmselfsup.SimSiam", "neck": neck, "head": head},
        "backbone": {**backbone, "out_indices": (4,)},
        "num_views": 2,
    }
    options = {
        "stages__pretrain__model": model,
        "stages__pretrain__custom_hooks": [],
        "stages__pretrain__train_cfg__max_epochs": 1,
        **CUT,
    }
    for stage in ("pretrain", "foreground"):
        run_tiny(tmp_path / "run", stage, **options)
    (checkpoint,) = (tmp_path / "run" / "pretrain").glob("iter_*.pth")
    for found, expected in cut_by_hand(tmp_path / "run", backbone_of(checkpoint)):
        np.testing.assert_allclose(found, expected, atol=0.51 / 255)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {**CUT, "stages__foreground__test_cfg__foreground": ATTENTION},
            "looks at 'attention' of a model",
        ),
        (
            {**CUT, "stages__foreground__data_preprocessor": {"type": "ViewPreprocesor"}},
            "ViewPreprocesor",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(tmp_path, options, message):
    with pytest.raises(LussError, match=message):
        run_tiny(tmp_path, **options)
    assert not (tmp_path / "pretrain").exists()


def test_a_stage_without_a_model_has_nothing_to_look_at(tmp_path):
    prior = {
        "type": "Test",
        "test_dataloader": {"splits": "${facts.splits}", "dataset": {}},
        "test_cfg": {"type": "ForegroundLoop", "foreground": {"type": "CentrePrior"}},
    }
    options = {**CUT, "stages__prior": prior}
    options["stages__foreground__model__backbone"] = "${prior.model.backbone}"
    with pytest.raises(LussError, match=r"stages\.foreground\.model\.backbone .*'prior' has no"):
        Pipeline(read_tiny(**options), str(tmp_path / "run"))
