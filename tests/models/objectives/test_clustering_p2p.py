import math

import pytest
import torch
import torch.nn.functional as F

from luss.errors import LussError
from luss.models.objectives.clustering import codes_like
from luss.models.objectives.clustering_p2p import ClusteringP2P, clustering_p2p_loss
from luss.models.objectives.sinkhorn import sinkhorn
from luss.structures import Assignment, ViewFeatures, ViewGeometry, overlap_grids


def slow_loss(scores, codes, overlaps, temperature):
    found = []
    for view in range(2):
        for n in range(scores.shape[1]):
            for pixel in range(scores.shape[2] if overlaps[n] else 0):
                other = [math.exp(float(s) / temperature) for s in scores[1 - view, n, pixel]]
                found.append(
                    -sum(
                        float(code) * math.log(likeness / sum(other))
                        for code, likeness in zip(codes[view, n, pixel], other, strict=True)
                    )
                )
    return sum(found) / len(found)


def test_loss_against_pixel_by_pixel():
    torch.manual_seed(0)
    scores, overlaps = torch.rand(2, 3, 4, 5), torch.tensor([True, False, True])
    codes = torch.softmax(torch.randn(2, 3, 4, 5), dim=-1)
    loss = clustering_p2p_loss(scores, codes, overlaps, 0.1)
    assert loss.item() == pytest.approx(slow_loss(scores, codes, overlaps, 0.1), rel=1e-5)
    assert clustering_p2p_loss(scores, codes, overlaps & False, 0.1).item() == 0


def test_codes_are_balanced_set_by_set():
    torch.manual_seed(0)
    scores = torch.rand(2, 12, 5, requires_grad=True)
    codes = codes_like(scores, Assignment(scores, scores, epsilon=0.3, sinkhorn_iterations=2))
    assert not codes.requires_grad
    for rows, found in zip(scores, codes, strict=True):
        torch.testing.assert_close(found, sinkhorn(rows.detach(), 0.3, 2))


def build(**settings):
    torch.manual_seed(0)
    return ClusteringP2P(6, 8, **{"embedding_channels": 5, "grid_size": 3, **settings})


def views(prototypes):
    torch.manual_seed(1)
    first = ViewGeometry.unpack(torch.tensor([[0, 0, 60, 40, 0], [0, 0, 9, 9, 0.0]]))
    second = ViewGeometry.unpack(torch.tensor([[20, 10, 60, 60, 1], [50, 50, 9, 9, 0.0]]))
    found = ViewFeatures([{4: torch.randn(4, 6, 7, 7, requires_grad=True)}], 2, [first, second])
    if prototypes is not None:
        found.assignment = Assignment(torch.rand(2, 2, 7), prototypes, 0.2, 4)
    return found


def test_the_objective_predicts_the_other_view():
    objective, prototypes = build().eval(), F.normalize(torch.randn(7, 5), dim=1)
    batch = views(prototypes)
    grids = overlap_grids(*batch.geometry, 3)
    scores, codes = [], []
    for view, grid in enumerate(grids):
        maps = batch.groups[0][4][2 * view : 2 * view + 2]
        embedded = F.grid_sample(objective.projector(maps), grid, align_corners=False)
        rows = F.normalize(embedded.permute(0, 2, 3, 1).reshape(-1, 5), dim=1)
        rows[9:] = 0
        scores.append((rows @ prototypes.T).reshape(2, 9, 7))
        codes.append(sinkhorn(rows @ prototypes.T, 0.2, 4).reshape(2, 9, 7))
    expected = slow_loss(torch.stack(scores).detach(), torch.stack(codes), [True, False], 0.1)
    assert objective(batch)[""].item() == pytest.approx(expected, rel=1e-4)


def test_the_gradient_reaches_features_and_projector():
    objective, prototypes = build(), F.normalize(torch.randn(7, 5), dim=1)
    batch = views(prototypes)
    objective(batch)[""].backward()
    for name, parameter in objective.named_parameters():
        assert parameter.grad.abs().sum() > 0, name
    assert batch.groups[0][4].grad[0].norm() > 0


def test_prototypes_are_lent():
    with pytest.raises(LussError, match="list a Clustering objective before it"):
        build()(views(None))
    with pytest.raises(LussError, match="have 6 channels, the clustering objective's prototypes 5"):
        build(projector_layers=0)(views(torch.randn(7, 5)))
