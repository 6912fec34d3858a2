"""Step 2.1: what is trained, how the frozen parts normalise, and which pooling is whose."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import DefaultScope

from luss.models import PixelAttentionTrainer
from luss.models.objectives.clustering import swapped_prediction_loss
from luss.models.objectives.sinkhorn import sinkhorn

CHANNELS = 64


def build(**settings):
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope("luss"):
        model = PixelAttentionTrainer(
            backbone={
                "type": "mmselfsup.ResNet",
                "depth": 18,
                "stem_channels": 8,
                "base_channels": 8,
                "out_indices": (4,),
            },
            attention={"type": "PixelAttention", "channels": CHANNELS},
            clustering={
                "type": "Clustering",
                "in_channels": CHANNELS,
                "hidden_channels": 12,
                "embedding_channels": 8,
                "num_prototypes": 10,
            },
            **settings,
        )
    return model.train()


@pytest.fixture
def model():
    return build()


def views(count=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(count, 3, 64, 64, generator=generator) for _ in range(2)]


def norms(model, *parts):
    """Batch norms of the parts by name."""
    return {
        name: module
        for name, module in model.named_modules()
        if name.startswith(parts) and isinstance(module, torch.nn.modules.batchnorm._BatchNorm)
    }


FROZEN = ("backbone.", "objectives.clustering.projector.")


def test_only_attention_and_prototypes_get_gradients(model):
    model(views(), mode="loss")["loss_clustering"].backward()
    trained = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert trained == {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {
        "attention.threshold",
        *(f"attention.atten.{n}.{part}" for n in (0, 1, 3, 4) for part in ("weight", "bias")),
        "objectives.clustering.prototypes.weight",
    }
    # Biases before a BN have none but rounding.
    for name in ("attention.threshold", "objectives.clustering.prototypes.weight",
                 "attention.atten.0.weight", "attention.atten.4.bias"):  # fmt: skip
        assert model.get_parameter(name).grad.abs().max() > 1e-6, name


def test_frozen_parts_normalise_by_batch_statistics(model):
    expected = model(views(), mode="loss")["loss_clustering"]
    for norm in norms(model, *FROZEN).values():
        norm.running_mean.normal_(3)
        norm.running_var.uniform_(5, 9)
    found = model(views(), mode="loss")["loss_clustering"]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    model.eval()
    other = model(views(), mode="loss")["loss_clustering"]
    assert abs(other.item() - expected.item()) > 1e-3


def test_running_statistics_of_frozen_parts_move(model):
    before = {name: norm.running_mean.clone() for name, norm in norms(model, *FROZEN).items()}
    assert any(name.startswith("backbone.layer4") for name in before)
    assert "objectives.clustering.projector.4" in before
    model(views(), mode="loss")
    for name, norm in norms(model, *FROZEN).items():
        assert not torch.equal(norm.running_mean, before[name]), name
        assert int(norm.num_batches_tracked) == 1, name


def plain_attention(model, features):
    """Features as up-sampled, of unit length, and the attention, one layer after the other."""
    raw = F.interpolate(features, scale_factor=4, mode="bilinear", align_corners=False)
    unit = raw / raw.norm(dim=1, keepdim=True)
    return raw, unit, torch.sigmoid(model.attention.atten(unit) + model.attention.threshold)


def test_normalised_features_train(model):
    """The loss is SwAV's on the projected mean of c(z) * z, z of unit length."""
    inputs = views()
    found = model(inputs, mode="loss")["loss_clustering"]
    with torch.no_grad():
        clustering = model.objectives["clustering"]
        raw, unit, attention = plain_attention(model, model.extract(torch.cat(inputs)))
        losses = []
        for z in (unit, raw):
            embeddings = F.normalize(clustering.projector((attention * z).mean(dim=(2, 3))), dim=1)
            scores = (embeddings @ F.normalize(clustering.prototypes.weight, dim=1).T).view(
                2, 4, 10
            )
            codes = torch.stack([sinkhorn(scores[crop], 0.05, 3) for crop in range(2)])
            losses.append(swapped_prediction_loss(scores, codes, 0.1))
    torch.testing.assert_close(found.detach(), losses[0], rtol=1e-4, atol=1e-5)
    assert abs(losses[1] - losses[0]) > 1e-3, "the inputs do not distinguish the two poolings"


def test_raw_features_are_clustered(model):
    """Embeddings for k-means are the mean of c(z) * z, z as up-sampled (step 2.2)."""
    model(views(), mode="loss")
    model.eval()
    (images, _) = views(seed=1)
    with torch.no_grad():
        found = model.embed_images(images)
        raw, unit, attention = plain_attention(model, model.extract(images))
    torch.testing.assert_close(found, (attention * raw).mean(dim=(2, 3)), rtol=1e-4, atol=1e-6)
    assert not torch.allclose(found, (attention * unit).mean(dim=(2, 3)), rtol=1e-2)


def test_image_embeddings_look_at_the_foreground_alone(model):
    model.eval()
    images = views()[0]
    foreground = torch.zeros(4, 1, 64, 64)
    foreground[..., :32] = 1
    with torch.no_grad():
        whole = model.embed_images(images)
        halves = [model.embed_images(images, part) for part in (foreground, 1 - foreground)]
        ones = model.embed_images(images, torch.ones(4, 1, 64, 64))
        features = model.extract(images)
        attended = model.attention.attention(features)
        upsampled = F.interpolate(features, scale_factor=4, mode="bilinear", align_corners=False)
    torch.testing.assert_close(ones, whole)
    torch.testing.assert_close(halves[0] + halves[1], whole)
    width = upsampled.shape[3] // 2
    expected = (attended * upsampled)[..., :width].mean(dim=(2, 3)) / 2
    torch.testing.assert_close(halves[0], expected)
