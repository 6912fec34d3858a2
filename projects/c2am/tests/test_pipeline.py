"""C2AM as a stage of a run, and the config."""

import copy
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine import Config
from states import Killed
from tiny_run import read_tiny, run_tiny

from luss.configuration import read_config
from luss.datasets.image_io import read_image
from luss.engine.checkpoint import load
from luss.errors import LussError
from luss.registry import MODELS

CONFIG = Path(__file__).parents[1] / "configs" / "c2am.py"
WHOLE = [
    {"type": "LoadRGBImage"},
    {"type": "ResizeShortSide", "size": 48},
    {"type": "PackInputs"},
]
CROP = {"count": 1, "size": 32, "scale": (0.6, 1.0)}
EMBEDDING = [
    *WHOLE[:2],
    {"type": "LoadForegroundAsMask", "folder": "${foreground.maps}/train"},
    {"type": "CenterCrop", "crop_size": 32},
    WHOLE[-1],
]


def with_c2am(**options):
    """Options that bring the stages of the config for photos into the tiny one, made small."""
    stages = read_config(CONFIG).stages
    c2am, foreground = (copy.deepcopy(stages[name].to_dict()) for name in ("c2am", "foreground"))
    tiny = read_tiny().stages.pretrain.model.backbone.to_dict()
    c2am["model"]["backbone"] = {**tiny, "out_indices": c2am["model"]["backbone"]["out_indices"]}
    c2am["train_dataloader"]["batch_size"] = 4
    c2am["train_dataloader"]["dataset"]["pipeline"][1]["views"] = [CROP]
    c2am["train_cfg"]["max_epochs"] = 2
    foreground["test_dataloader"]["dataset"]["pipeline"] = WHOLE
    for settings in (c2am, foreground):
        settings["before"] = "pixel_attention"
    return {
        "stages__c2am": c2am,
        "stages__foreground": foreground,
        "stages__label_generation__test_cfg__foreground": {
            "type": "FolderOfMaps",
            "folder": "${foreground.maps}",
        },
        "stages__label_generation__test_cfg__embedder__type": "ForegroundEmbeddings",
        "stages__label_generation__test_dataloader__embedding__dataset__pipeline": EMBEDDING,
        "stages__label_generation__test_cfg__threshold": 0.5,
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


def test_only_the_disentangler_is_trained(learnt):
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


def test_a_model_without_a_disentangler_is_rejected(tmp_path):
    options = {"stages__label_generation__test_cfg__foreground": {"type": "C2AM"}}
    with pytest.raises(LussError, match="'disentangler' of a model, but PixelAttentionTrainer"):
        run_tiny(tmp_path, **options)
    assert not (tmp_path / "pretrain").exists()


def test_the_config_differs_from_its_base_only_in_the_foreground():
    ours = read_config(CONFIG).stages
    theirs = read_config("luss::pass/pass_s_photos_prior.py").stages
    order = list(theirs)
    at = order.index("pixel_attention")
    assert list(ours) == [*order[:at], "c2am", "foreground", *order[at:]]
    for same in ("pretrain", "pixel_attention", "finetune", "evaluate"):
        assert ours[same] == theirs[same]
    labels = copy.deepcopy(ours.label_generation)
    source = {"type": "FolderOfMaps", "folder": "${foreground.maps}"}
    assert labels.test_cfg.pop("foreground") == source
    base = copy.deepcopy(theirs.label_generation)
    base.test_cfg.pop("foreground")
    assert labels == base
    # The backbone is that of step 1, of which other maps may be read.
    backbones = [dict(ours[stage].model.backbone) for stage in ("c2am", "pretrain")]
    for backbone in backbones:
        backbone.pop("out_indices")
    assert backbones[0] == backbones[1]
    # Maps are computed for photos as labels are.
    sizes = [
        [step.size for step in pipeline if step.type == "ResizeShortSide"]
        for pipeline in (
            ours.foreground.test_dataloader.dataset.pipeline,
            ours.label_generation.test_dataloader.pixels.dataset.pipeline,
        )
    ]
    assert sizes[0] == sizes[1]
    assert ours.foreground.data_preprocessor == ours.label_generation.data_preprocessor
