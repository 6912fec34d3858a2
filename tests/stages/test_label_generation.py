"""What label generation leaves, restated from its photos and the checkpoint before it."""

import shutil

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from tiny_run import read_tiny, run_tiny

from luss.datasets.image_io import read_image
from luss.datasets.mask_codec import read_mask
from luss.engine.checkpoint import latest_checkpoint
from luss.engine.inference import load_model

SIDE = 32


@pytest.fixture(scope="module")
def labelled(finished_run, tmp_path_factory):
    """A run whose label generation alone sees photos of 48 px at 32 px."""
    folder = tmp_path_factory.mktemp("labelled") / "run"
    shutil.copytree(finished_run, folder)
    for stage in ("label_generation", "finetune", "evaluate"):
        shutil.rmtree(folder / stage)
    return run_tiny(
        folder,
        "label_generation",
        short_side=SIDE,
    )


def test_embeddings_are_means_of_raw_features_times_attention(labelled):
    config = read_tiny().stages.pixel_attention.model
    checkpoint = latest_checkpoint(labelled / "pixel_attention")
    model = load_model(config, checkpoint, torch.device("cpu"))
    mean = torch.tensor((0.485, 0.456, 0.406)).view(3, 1, 1)
    std = torch.tensor((0.229, 0.224, 0.225)).view(3, 1, 1)
    expected = []
    for path in sorted((labelled / "data" / "train").glob("*/*")):
        photo = Image.fromarray(read_image(path))
        size = (SIDE, int(SIDE * photo.height / photo.width))
        if photo.height < photo.width:
            size = (int(SIDE * photo.width / photo.height), SIDE)
        photo = np.asarray(photo.resize(size, Image.Resampling.BILINEAR))
        image = (torch.from_numpy(photo.copy()).permute(2, 0, 1) / 255 - mean) / std
        with torch.no_grad():
            raw = F.interpolate(model.extract(image[None]), scale_factor=4, mode="bilinear")
            hidden = model.attention.atten(F.normalize(raw, dim=1))
            attention = torch.sigmoid(hidden + model.attention.threshold)
        expected.append((attention * raw).mean(dim=(2, 3))[0].numpy())
    found = np.load(labelled / "label_generation" / "embeddings.npy")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_pseudo_labels_have_the_size_of_their_photos(labelled):
    photos = sorted((labelled / "data" / "train").glob("*/*"))
    assert photos
    for path in photos:
        label = labelled / "label_generation/pseudo_labels" / path.parent.name / f"{path.stem}.png"
        assert read_mask(label).shape == read_image(path).shape[:2]


def test_attention_is_shown_where_predictions_are(labelled):
    folder = labelled / "label_generation" / "attention"
    shown = [path.relative_to(folder).with_suffix("") for path in folder.rglob("*.png")]
    photos = {
        path.relative_to(labelled / "data").with_suffix("")
        for path in (labelled / "data" / "validation").glob("*/*")
    }
    assert len(shown) == 2
    assert photos.issuperset(shown)


def test_metrics_matched_otherwise_than_the_threshold_are_named(finished_run, tmp_path, capsys):
    left_out = shutil.ignore_patterns("evaluate", "results.json")
    shutil.copytree(finished_run, tmp_path / "run", ignore=left_out)
    run_tiny(tmp_path / "run", "evaluate", stages__evaluate__protocol__matcher__unmatched="best")
    said = capsys.readouterr().out
    assert "threshold was chosen by" in said
    assert "'unmatched': 'best'" in said
