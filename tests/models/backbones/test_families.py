"""Every family of backbones in every step: two iterations each, on tiny images."""

import copy
import importlib.util

import pytest
import torch
from families import FAMILIES
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from luss.models.backbones import FeatureMap, probe
from luss.registry import MODELS

CLASSES = 3
WIDTHS = {"hidden_channels": 8, "embedding_channels": 8}
CLUSTERING = {"type": "Clustering", "num_prototypes": 6, **WIDTHS}

pytestmark = pytest.mark.parametrize("name", FAMILIES)


@pytest.fixture
def family(name):
    found = FAMILIES[name]
    if found.needs and importlib.util.find_spec(found.needs) is None:
        pytest.skip(f"{found.needs} is not installed")
    torch.manual_seed(0)
    return found


def two_iterations(model, data):
    """Train, and see that the loss and all gradients are finite."""
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.01)
    for _ in range(2):
        loss, _ = model.parse_losses(model(**data, mode="loss"))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert loss.isfinite()
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    return gradients


def views(sides, count=4):
    inputs = [torch.randn(count, 3, side, side) for side in sides]
    boxes = torch.tensor([[0.0, 0, 60, 60, 0], [10, 10, 60, 60, 1], [5, 5, 20, 20, 0]])
    return {"inputs": inputs, "geometry": boxes[: len(sides)].expand(count, -1, -1)}


def test_pretraining(family):
    objectives = {"clustering": CLUSTERING, "p2p": {"type": "P2P", **WIDTHS}}
    if len(probe(MODELS.build(copy.deepcopy(family.backbone)))) > 1:
        objectives["d2s"] = {"type": "D2S", "stages": (3,), **WIDTHS}
    model = MODELS.build(
        {
            "type": "PASSPretrainer",
            "backbone": copy.deepcopy(family.backbone),
            "objectives": objectives,
        }
    )
    large, small = family.sides
    gradients = two_iterations(model, views((large, large, small)))
    assert any(name.startswith("backbone.") and g.any() for name, g in gradients.items())
    for objective in objectives:
        assert any(name.startswith(f"objectives.{objective}.") for name in gradients)


def test_pixel_attention_and_label_generation(family):
    model = MODELS.build(
        {
            "type": "PixelAttentionTrainer",
            "backbone": copy.deepcopy(family.backbone),
            "attention": {"type": "PixelAttention"},
            "clustering": CLUSTERING,
        }
    )
    large, _ = family.sides
    gradients = two_iterations(model, views((large, large)))
    assert not any(name.startswith("backbone.") for name in gradients)
    assert any(name.startswith("attention.") for name in gradients)
    model.eval()
    images = torch.randn(2, 3, large, large)
    channels = probe(model.backbone)[-1].channels
    with torch.no_grad():
        features = model.extract(images)
        assert model.embed_images(images).shape == (2, channels)
        attention = model.attention.mean_attention(features)
    assert features.shape[:2] == (2, channels)
    assert attention.shape[-2:] == tuple(4 * side for side in features.shape[-2:])


def test_fine_tuning(family):
    model = MODELS.build(
        {
            "type": "PassSegmentor",
            "backbone": copy.deepcopy(family.backbone),
            "decode_head": {"type": "PassHead", "num_classes": CLASSES},
        }
    )
    large, _ = family.sides
    labels = torch.randint(0, CLASSES, (4, 1, large, large))
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]
    gradients = two_iterations(
        model, {"inputs": torch.randn(4, 3, large, large), "data_samples": samples}
    )
    assert any(name.startswith("backbone.") and g.any() for name, g in gradients.items())
    model.eval()
    with torch.no_grad():
        (found,) = model.predict(torch.randn(1, 3, large, large))
    assert found.pred_sem_seg.data.shape == (1, large, large)


def test_distance_matching(family):
    backbone = MODELS.build(copy.deepcopy(family.backbone))
    backbone.eval()
    large, _ = family.sides
    with torch.no_grad():
        features = FeatureMap(backbone)(torch.randn(2, 3, large, large))
    info = probe(backbone, (large, large))[-1]
    assert features.shape[:2] == (2, info.channels)
    assert features.dtype == torch.float32
    # No map without places.
    assert features.flatten(2).std(dim=2).any()
