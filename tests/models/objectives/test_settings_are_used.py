"""Objectives use their settings, and their defaults are those of the method."""

import pytest
import torch
import torch.nn.functional as F

from luss.models.heads import PixelProjector
from luss.models.objectives.clustering import Clustering, swapped_prediction_loss
from luss.models.objectives.d2s import D2S
from luss.models.objectives.p2p import P2P
from luss.models.objectives.sinkhorn import sinkhorn
from luss.structures import ViewFeatures


@pytest.mark.parametrize(("epsilon", "iterations"), [(0.05, 3), (0.3, 3), (0.05, 1), (0.3, 7)])
def test_codes_are_as_smooth_and_as_balanced_as_asked(epsilon, iterations):
    torch.manual_seed(0)
    clustering = Clustering(10, 8, 7, 6, epsilon, iterations)
    rows = F.normalize(torch.randn(2, 5, 6), dim=-1)
    codes = clustering.codes(rows)
    for crop in range(2):
        scores = rows[crop] @ clustering.prototypes.weight.detach().T
        torch.testing.assert_close(codes[crop], sinkhorn(scores, epsilon, iterations))
    assert not torch.allclose(codes[0], Clustering.codes(_other(clustering), rows)[0], atol=1e-3)


def _other(clustering):
    """The same prototypes with an epsilon and iterations that no case has."""
    other = Clustering(10, 8, 7, 6, epsilon=0.9, sinkhorn_iterations=2)
    other.load_state_dict(clustering.state_dict())
    return other


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_the_loss_has_the_temperature_asked(temperature):
    torch.manual_seed(0)
    clustering = Clustering(10, 8, 7, 6, temperature=temperature)
    embeddings = F.normalize(torch.randn(3 * 5, 6), dim=-1)
    views = ViewFeatures([], 5, [])
    loss = clustering.loss(embeddings, views)
    scores = clustering.prototypes(embeddings).unflatten(0, (3, 5))
    expected = swapped_prediction_loss(scores, views.assignment.codes, temperature)
    torch.testing.assert_close(loss, expected)


def test_what_the_configs_leave_open_is_as_in_the_released_code():
    """Sections 4.2 and 3.3: a grid of 7 x 7, M_p and M_K of three layers, temperature 0.1."""
    p2p = P2P(in_channels=6, hidden_channels=8)
    assert p2p.grid_size == 7
    assert not p2p.sample_first
    d2s = D2S(in_channels={3: 6}, hidden_channels=8)
    assert d2s.temperature == 0.1
    projectors = [p2p.projector, d2s.embeddings["3"].pixel_projector, PixelProjector(6, 8, 5)]
    for projector in projectors:
        assert sum(isinstance(part, torch.nn.Conv2d) for part in projector) == 3
    clustering = Clustering(in_channels=6, hidden_channels=8, num_prototypes=9)
    assert (clustering.epsilon, clustering.sinkhorn_iterations) == (0.05, 3)
    assert (clustering.temperature, clustering.num_assigning_crops) == (0.1, 2)
    assert p2p.predictor[-1].out_channels == clustering.prototypes.in_features == 128
