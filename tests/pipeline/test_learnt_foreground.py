"""Foreground from trained models: C2AM in a stage of its own, and maps of any pretrained backbone.

Maps lie before pixel attention, which some of them teach.
"""

import copy
import json
import shutil

import cv2
import numpy as np
import pytest
import torch
from mmengine import Config
from states import Killed
from tiny_run import REPOSITORY, read_tiny, run_tiny

from luss.configuration import read_config
from luss.datasets.image_io import read_image
from luss.engine.checkpoint import load
from luss.errors import LussError
from luss.label_generation.foreground.colours import to_lab
from luss.label_generation.foreground.feature_cut import normalised_cut, oriented_by_frame
from luss.pipeline import Pipeline
from luss.registry import MODELS

FOUND = {"type": "FolderOfMaps", "folder": "${foreground.maps}"}
WHOLE = [
    {"type": "LoadRGBImage"},
    {"type": "ResizeShortSide", "size": 48},
    {"type": "PackInputs"},
]
CROP = {"count": 1, "size": 32, "scale": (0.6, 1.0)}
EMBEDDING = [*WHOLE[:2], {"type": "LoadForegroundAsMask"}, {"type": "CenterCrop", "crop_size": 32}]
CUT = {
    "stages__foreground": {
        "type": "ForegroundStage",
        "before": "pixel_attention",
        "foreground": {"type": "FeatureCut", "finer": 1},
        "model_from": "pretrain",
        "pipeline": WHOLE,
        "preprocessor": {"type": "ViewPreprocessor"},
    }
}
TAUGHT_BY_CUT = {
    **CUT,
    "stages__pixel_attention__model__teacher": {"type": "ForegroundTeacher"},
    "stages__pixel_attention__train_dataloader__dataset__pipeline": [
        {"type": "LoadRGBImage"},
        {"type": "LoadForegroundMap", "folder": "${foreground.maps}/train"},
        {"type": "MultiCrop", "views": [{**CROP, "count": 2}]},
        {"type": "PackViews"},
    ],
}


def with_c2am(**options):
    """Options that bring the stages of the config for photos into the tiny one, made small."""
    stages = read_config(REPOSITORY / "configs" / "pass" / "pass_s_photos_c2am.py").stages
    c2am, foreground = (copy.deepcopy(stages[name].to_dict()) for name in ("c2am", "foreground"))
    tiny = read_tiny().stages.pretrain.model.backbone.to_dict()
    c2am["model"]["backbone"] = {**tiny, "out_indices": c2am["model"]["backbone"]["out_indices"]}
    c2am["train_dataloader"]["batch_size"] = 4
    c2am["train_dataloader"]["dataset"]["pipeline"][1]["views"] = [CROP]
    c2am["train_cfg"]["max_epochs"] = 2
    foreground["pipeline"] = WHOLE
    for settings in (c2am, foreground):
        settings["before"] = "pixel_attention"
    return {
        "stages__c2am": c2am,
        "stages__foreground": foreground,
        "stages__label_generation__foreground": {
            "type": "FolderOfMaps",
            "folder": "${foreground.maps}",
        },
        "stages__label_generation__embedding__type": "ForegroundEmbeddings",
        "stages__label_generation__embedding__pipeline": [*EMBEDDING, WHOLE[-1]],
        "stages__label_generation__threshold": 0.5,
        **options,
    }


@pytest.fixture(scope="module")
def learnt(pretrained, tmp_path_factory):
    """The whole of a run with C2AM; not to be written to."""
    folder = tmp_path_factory.mktemp("learnt") / "run"
    shutil.copytree(pretrained, folder)
    return run_tiny(folder, resume=True, **with_c2am())


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


def test_the_disentangler_alone_is_trained(learnt):
    start, end = (
        load(next((learnt / stage).glob(f"iter_{step}.pth")))["state_dict"]
        for stage, step in (("pretrain", 12), ("c2am", 8))
    )
    backbone = [name for name in end if name.startswith("backbone.")]
    assert len(backbone) > 100
    for name in backbone:
        assert torch.equal(start[name], end[name]), name
    assert {name.partition(".")[0] for name in end} == {"backbone", "disentangler", "frame_lead"}
    assert end["frame_lead"] != 0
    assert json.loads((learnt / "c2am" / "done.json").read_text())["iterations"] == 8


def test_maps_are_those_of_the_trained_model(learnt):
    model, prepared = model_of(learnt / "foreground")
    model.load_state_dict(load(learnt / "c2am" / "iter_8.pth")["state_dict"])
    count = 0
    for values, path in maps_and_photos(learnt):
        _, inputs = prepared(path)
        with torch.no_grad():
            expected = model.foreground_map(inputs)[0, 0].numpy()
        # Twice as fine, from shifted copies; every second place is that of the photo itself.
        assert values.shape == tuple(2 * side for side in expected.shape)
        np.testing.assert_allclose(values[::2, ::2], expected, atol=0.51 / 255)
        count += 1
    assert count == 18 + 6 + 6


def test_all_steps_run_on_the_maps(learnt):
    results = json.loads((learnt / "results.json").read_text())
    assert 0 <= results["fully_unsupervised"]["val"]["mIoU"] <= 100
    assert len(list((learnt / "label_generation" / "pseudo_labels").rglob("*.png"))) == 18


def test_a_killed_c2am_goes_on_bit_for_bit(pretrained, learnt, tmp_path, fault):
    hooked = with_c2am(stages__c2am__custom_hooks=[{"type": "FaultHook"}])
    shutil.copytree(pretrained, tmp_path / "run")

    def kill(runner):
        if runner.iter == 6:
            raise Killed

    fault.plan = kill
    with pytest.raises(Killed):
        run_tiny(tmp_path / "run", "c2am", **hooked)
    fault.plan = None
    assert (tmp_path / "run" / "c2am" / "iter_4.pth").exists()
    run_tiny(tmp_path / "run", "c2am", resume=True, **hooked)
    own, theirs = (load(root / "c2am" / "iter_8.pth") for root in (tmp_path / "run", learnt))
    assert own["state_dict"].keys() == theirs["state_dict"].keys()
    for name, value in theirs["state_dict"].items():
        assert torch.equal(own["state_dict"][name], value), name


# ---- sources of features, from whatever pretrained a backbone ------------------------------------


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


def test_attention_is_taught_by_cuts_of_the_pretrained_features(pretrained, tmp_path):
    shutil.copytree(pretrained, tmp_path / "run")
    run_tiny(tmp_path / "run", resume=True, **TAUGHT_BY_CUT)
    state = backbone_of(tmp_path / "run" / "pretrain" / "iter_12.pth")
    pairs = list(cut_by_hand(tmp_path / "run", state))
    assert len(pairs) == 18 + 6 + 6
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected, atol=0.51 / 255)
    (scalars,) = tmp_path.glob("run/pixel_attention/*/vis_data/scalars.json")
    assert all("loss_foreground" in json.loads(line) for line in scalars.open())
    assert (tmp_path / "run" / "results.json").exists()


def test_a_backbone_from_a_file_is_cut(pretrained, tmp_path):
    """Nothing but the backbone is there: the file has no projectors."""
    state = backbone_of(pretrained / "pretrain" / "iter_12.pth")
    torch.save({"state_dict": state}, tmp_path / "backbone.pth")
    weights = {"stages__pretrain__type": "PretrainStage", "weights": str(tmp_path / "backbone.pth")}
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
            {"stages__label_generation__foreground": {"type": "C2AM"}},
            "looks at 'disentangler' of a model, but that of stage 'pixel_attention', Pixel",
        ),
        (
            {**CUT, "stages__foreground__foreground": {"type": "C2AM", "_delete_": True}},
            "looks at 'disentangler' of a model, but that of stage 'pretrain', PASSPretrainer",
        ),
        (
            {**CUT, "stages__foreground__foreground": {"type": "Attention", "_delete_": True}},
            "looks at 'attention' of a model",
        ),
        (
            {**CUT, "stages__foreground__preprocessor": {"type": "ViewPreprocesor"}},
            "ViewPreprocesor",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(tmp_path, options, message):
    with pytest.raises(LussError, match=message):
        run_tiny(tmp_path, **options)
    assert not (tmp_path / "pretrain").exists()


def test_a_stage_without_a_model_has_nothing_to_look_at(pretrained, tmp_path):
    shutil.copytree(pretrained, tmp_path / "run")
    options = {**CUT, "stages__foreground__model_from": "label_generation"}
    options["stages__foreground__before"] = "finetune"
    pipeline = Pipeline(read_tiny(**options), str(tmp_path / "run"))
    with pytest.raises(LussError, match=r"'label_generation', which is not a stage with a model"):
        pipeline.run(resume=True)
