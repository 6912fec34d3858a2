import math

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses import FakeTensorMode

from luss.models.objectives.p2p import P2P, p2p_loss
from luss.structures import ViewFeatures, ViewGeometry, overlap_grids


def pairs(seed=0):
    return torch.randn(2, 3, 5, 4, 4, generator=torch.Generator().manual_seed(seed))


def geometries():
    first = ViewGeometry.unpack(
        torch.tensor([[0, 0, 60, 40, 0], [5, 5, 30, 30, 1], [0, 0, 9, 9, 0.0]])
    )
    second = ViewGeometry.unpack(
        torch.tensor([[20, 10, 60, 60, 1], [0, 0, 50, 40, 0], [50, 50, 9, 9, 0.0]])
    )
    return [first, second]


def build(**kwargs):
    torch.manual_seed(0)
    return P2P(**{"in_channels": 6, "hidden_channels": 8, "embedding_channels": 5, **kwargs})


# The loss


@pytest.mark.parametrize("factor", [1.0, 0.01, 30.0])
def test_aligned_predictions(factor):
    predictions = pairs()
    loss = p2p_loss(predictions, factor * predictions.flip(0))
    assert loss.item() == pytest.approx(-1, abs=1e-6)
    assert p2p_loss(predictions, -predictions.flip(0)).item() == pytest.approx(1, abs=1e-6)


def test_orthogonal_predictions():
    predictions, targets = torch.zeros(2, 3, 5, 4, 4), torch.zeros(2, 3, 5, 4, 4)
    predictions[:, :, 0], targets[:, :, 1] = 1, 1
    assert p2p_loss(predictions, targets).item() == 0


def test_zeros_count_in_the_mean():
    targets = pairs()
    predictions = targets.flip(0).clone()
    predictions[:, 1:] = 0
    assert p2p_loss(predictions, targets).item() == pytest.approx(-1 / 3, abs=1e-6)


def test_both_directions_count_half():
    predictions, targets = pairs(0), pairs(1)
    expected = 0.0
    for view in range(2):
        cosines = []
        for n in range(3):
            for y in range(4):
                for x in range(4):
                    p, z = predictions[view, n, :, y, x], targets[1 - view, n, :, y, x]
                    cosines.append(float(p @ z / math.sqrt(float(p @ p) * float(z @ z))))
        expected -= sum(cosines) / len(cosines) / 2
    assert p2p_loss(predictions, targets).item() == pytest.approx(expected, abs=1e-6)


def test_targets_get_no_gradient():
    predictions, targets = pairs(0).requires_grad_(), pairs(1).requires_grad_()
    p2p_loss(predictions, targets).backward()
    assert predictions.grad.norm() > 0
    assert targets.grad is None


# The objective


@pytest.mark.parametrize("sample_first", [False, True])
def test_forward_reads_both_views_on_one_grid(sample_first):
    p2p = build(sample_first=sample_first, grid_size=3).eval()
    features = torch.randn(6, 6, 7, 7)
    views = ViewFeatures([{4: features}], 3, geometries())
    grids = overlap_grids(*geometries(), 3)
    read = []
    for view, grid in enumerate(grids):
        maps = features[3 * view : 3 * view + 3]
        if sample_first:
            read.append(p2p.projector(F.grid_sample(maps, grid, align_corners=False)))
        else:
            read.append(F.grid_sample(p2p.projector(maps), grid, align_corners=False))
    expected = -sum(
        F.cosine_similarity(p2p.predictor(read[view]), read[1 - view]).mean() for view in range(2)
    )
    torch.testing.assert_close(p2p(views)[""], expected / 2)


def test_only_the_deepest_stage_of_the_large_crops_is_used():
    p2p = build()
    large, small = (torch.randn(6, 6, side, side, requires_grad=True) for side in (7, 3))
    shallow = torch.randn(6, 6, 9, 9, requires_grad=True)
    geometry = geometries()
    views = ViewFeatures([{3: shallow, 4: large}, {4: small}], 3, [*geometry, *geometry])
    p2p(views)[""].backward()
    assert large.grad.norm() > 0
    assert shallow.grad is None
    assert small.grad is None
    # The third pair of crops does not overlap.
    assert (large.grad[:2].flatten(1).norm(dim=1) > 0).all()
    for name, param in p2p.named_parameters():
        assert param.grad is not None, name


def test_half_precision_samples_in_float32():
    p2p = build().eval()
    features, grid = torch.randn(3, 6, 7, 7), overlap_grids(*geometries(), 4)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        embeddings, predictions = p2p.align(features, grid)
    assert embeddings.dtype == torch.float32
    assert predictions.dtype == torch.bfloat16
    assert p2p_loss(predictions[None], embeddings[None]).dtype == torch.float32


@pytest.mark.parametrize("layers", [2, 3])
def test_layers_of_the_projector(layers):
    convolutions = [
        part for part in build(projector_layers=layers).projector if hasattr(part, "kernel_size")
    ]
    assert len(convolutions) == layers
    assert all(part.bias is None for part in convolutions)


def test_without_projector_the_features_themselves_are_aligned():
    p2p = build(projector_layers=0, grid_size=3).eval()
    assert not list(p2p.projector.parameters())
    features, grid = torch.randn(3, 6, 7, 7), overlap_grids(*geometries(), 3)[0]
    embeddings, predictions = p2p.align(features, grid)
    read = F.grid_sample(features, grid, align_corners=False)
    torch.testing.assert_close(embeddings, read)
    torch.testing.assert_close(predictions, p2p.predictor(read))
    assert p2p.channels(4) == {4: 6}


def test_convolutions_start_kaiming_normal_by_fan_out():
    p2p = P2P(512, 256, embedding_channels=128)
    parts = [*p2p.projector, *p2p.predictor]
    for part in parts:
        if isinstance(part, torch.nn.Conv2d):
            expected = math.sqrt(2 / part.out_channels)
            assert part.weight.std().item() == pytest.approx(expected, rel=0.03)
            # Beyond the reach of a uniform distribution of this deviation.
            assert part.weight.abs().max() > 2.5 * expected


def test_a_step_never_waits_for_the_device():
    # A tensor without data raises when a value is read.
    with FakeTensorMode():
        geometry = [ViewGeometry.unpack(torch.empty(3, 5)) for _ in range(2)]
        views = ViewFeatures([{4: torch.randn(6, 6, 7, 7)}], 3, geometry)
        build()(views)[""].backward()
