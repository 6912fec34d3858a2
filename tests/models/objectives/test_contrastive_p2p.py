import math

import pytest
import torch
import torch.nn.functional as F

from luss.models.objectives.contrastive_p2p import ContrastiveP2P, contrastive_p2p_loss
from luss.structures import ViewFeatures, ViewGeometry, overlap_grids


def slow_loss(embeddings, overlaps, temperature):
    """One pixel after the other; its counterpart among all points of the photo's other view."""
    found = []
    for n in range(embeddings.shape[1]):
        if not overlaps[n]:
            continue
        views = [embeddings[v, n].flatten(1).T.double() for v in range(2)]
        losses = []
        for view in range(2):
            for place, pixel in enumerate(views[view]):
                likeness = [
                    math.exp(float(pixel @ other / pixel.norm() / other.norm()) / temperature)
                    for other in views[1 - view]
                ]
                losses.append(-math.log(likeness[place] / sum(likeness)))
        found.append(sum(losses) / len(losses))
    return sum(found) / len(found)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_loss_against_pixel_by_pixel(temperature):
    torch.manual_seed(0)
    embeddings, overlaps = torch.randn(2, 3, 5, 3, 3), torch.tensor([True, False, True])
    loss = contrastive_p2p_loss(embeddings, overlaps, temperature)
    assert loss.item() == pytest.approx(slow_loss(embeddings, overlaps, temperature), rel=1e-5)


def test_pixels_that_are_all_alike_cannot_be_told_apart():
    embeddings = torch.ones(2, 4, 5, 3, 3)
    loss = contrastive_p2p_loss(embeddings, torch.ones(4, dtype=torch.bool), 0.2)
    assert loss.item() == pytest.approx(math.log(9), rel=1e-6)


def test_without_any_overlap_there_is_no_loss_and_no_gradient():
    embeddings = torch.zeros(2, 2, 5, 3, 3, requires_grad=True)
    loss = contrastive_p2p_loss(embeddings, torch.zeros(2, dtype=torch.bool), 0.2)
    loss.backward()
    assert loss.item() == 0
    assert not embeddings.grad.any()


@pytest.mark.parametrize("sample_first", [False, True])
def test_the_objective_reads_both_views_on_one_grid(sample_first):
    torch.manual_seed(0)
    objective = ContrastiveP2P(
        6, 8, embedding_channels=5, grid_size=3, sample_first=sample_first
    ).eval()
    first = ViewGeometry.unpack(torch.tensor([[0, 0, 60, 40, 0], [0, 0, 9, 9, 0.0]]))
    second = ViewGeometry.unpack(torch.tensor([[20, 10, 60, 60, 1], [50, 50, 9, 9, 0.0]]))
    features = torch.randn(4, 6, 7, 7)
    read = []
    for view, grid in enumerate(overlap_grids(first, second, 3)):
        maps = features[2 * view : 2 * view + 2]
        if sample_first:
            read.append(objective.projector(F.grid_sample(maps, grid, align_corners=False)))
        else:
            read.append(F.grid_sample(objective.projector(maps), grid, align_corners=False))
    # The second photo's crops do not overlap.
    expected = slow_loss(torch.stack(read)[:, :1], [True], 0.2)
    loss = objective(ViewFeatures([{4: features}], 2, [first, second]))[""]
    assert loss.item() == pytest.approx(expected, rel=1e-4)
