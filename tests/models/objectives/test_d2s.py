import math

import numpy as np
import pytest
import torch

from luss.errors import LussError
from luss.models.objectives.d2s import D2S, d2s_loss
from luss.models.objectives.sinkhorn import sinkhorn
from luss.structures import Assignment, ViewFeatures

CHANNELS = {1: 3, 2: 4, 3: 5}


def views_with(prototypes=None, batch_size=4, large=2):
    torch.manual_seed(1)
    group = {
        stage: torch.randn(large * batch_size, channels, 5, 5, requires_grad=True)
        for stage, channels in {**CHANNELS, 4: 6}.items()
    }
    views = ViewFeatures([group], batch_size, [])
    if prototypes is not None:
        codes = torch.softmax(torch.randn(2, batch_size, len(prototypes)), dim=-1)
        views.assignment = Assignment(codes, prototypes)
    return views


def unit_rows(count, channels):
    return torch.nn.functional.normalize(torch.randn(count, channels), dim=1)


def build(stages, **settings):
    torch.manual_seed(0)
    channels = {stage: {**CHANNELS, 4: 6}[stage] for stage in stages}
    return D2S(channels, 8, embedding_channels=6, **settings)


def test_deep_codes_supervise_the_other_crop():
    generator = np.random.default_rng(0)
    scores = generator.uniform(-1, 1, (2, 4, 6))
    codes = generator.dirichlet(np.ones(6), (2, 4))
    total = 0.0
    for crop in range(2):
        for n in range(4):
            shallow = np.exp(scores[1 - crop, n] / 0.1)
            for k in range(6):
                total -= codes[crop, n, k] * math.log(shallow[k] / shallow.sum()) / 4 / 2
    given = d2s_loss(torch.from_numpy(scores), torch.from_numpy(codes), 0.1)
    assert given.item() == pytest.approx(total, rel=1e-5)


def test_codes_of_the_same_view_supervise_it():
    torch.manual_seed(0)
    scores, codes = torch.rand(2, 4, 6), torch.softmax(torch.randn(2, 4, 6), dim=-1)
    same = d2s_loss(scores, codes, 0.1, same_view=True)
    torch.testing.assert_close(same, d2s_loss(scores.flip(0), codes, 0.1))
    d2s, views = build((3,), same_view=True), views_with(unit_rows(7, 6))
    other = build((3,))
    views.assignment.codes = views.assignment.codes.flip(0)
    crossed = other(views)["stage3"]
    views.assignment.codes = views.assignment.codes.flip(0)
    torch.testing.assert_close(d2s(views)["stage3"], crossed)


def test_codes_of_the_same_stage_supervise_it():
    d2s, prototypes = build((2, 3), codes_from="same"), unit_rows(7, 6)
    views = views_with(prototypes)
    views.assignment.epsilon, views.assignment.sinkhorn_iterations = 0.2, 5
    losses = d2s(views)
    for stage in (2, 3):
        embeddings = d2s.embeddings[str(stage)](views.groups[0][stage])
        scores = (embeddings @ prototypes.T).reshape(2, 4, 7)
        codes = torch.stack([sinkhorn(crop, 0.2, 5) for crop in scores])
        torch.testing.assert_close(losses[f"stage{stage}"], d2s_loss(scores, codes, 0.1))
    with pytest.raises(LussError, match="codes_from is 'own', expected 'deepest' or 'same'"):
        build((3,), codes_from="own")


def test_stage_4_is_pooled_as_it_is():
    """Equation (3)."""
    d2s = build((4, 3))
    assert d2s.channels(4) == {4: 6, 3: 5}
    views = views_with(unit_rows(7, 6))
    deepest = d2s.embeddings["4"]
    pooled = deepest.projector(views.groups[0][4].mean(dim=(2, 3)))
    expected = torch.nn.functional.normalize(pooled, dim=1)
    torch.testing.assert_close(deepest(views.groups[0][4]), expected)
    assert set(d2s(views)) == {"stage4", "stage3"}


@pytest.mark.parametrize("stages", [(3,), (3, 2), (1, 2, 3)])
def test_stages(stages):
    d2s = build(stages)
    assert d2s.stages == stages
    prototypes = unit_rows(7, 6)
    views = views_with(prototypes)
    losses = d2s(views)
    assert list(losses) == [f"stage{stage}" for stage in stages]
    for stage in stages:
        embeddings = d2s.embeddings[str(stage)](views.groups[0][stage])
        torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(8))
        crops = (embeddings @ prototypes.T).reshape(2, 4, 7)
        expected = d2s_loss(crops, views.assignment.codes, 0.1)
        torch.testing.assert_close(losses[f"stage{stage}"], expected)


def test_small_crops_take_no_part():
    d2s = build((3,)).eval()
    prototypes = unit_rows(7, 6)
    views = views_with(prototypes, large=3)
    d2s(views)["stage3"].backward()
    gradient = views.groups[0][3].grad.flatten(1).norm(dim=1)
    assert (gradient[:8] > 0).all()
    assert (gradient[8:] == 0).all()


def test_the_gradient_reaches_projectors_and_features_but_no_prototypes():
    d2s = build((2, 3))
    prototypes = torch.nn.Parameter(unit_rows(7, 6))
    views = views_with(prototypes.detach())
    sum(d2s(views).values()).backward()
    for name, param in d2s.named_parameters():
        assert param.grad is not None, name
    assert views.groups[0][2].grad.norm() > 0
    assert views.groups[0][3].grad.norm() > 0
    assert views.groups[0][1].grad is None
    assert views.groups[0][4].grad is None
    assert prototypes.grad is None


def test_without_clustering():
    with pytest.raises(LussError, match="list a Clustering objective before it"):
        build((3,))(views_with())


def test_prototypes_of_another_width():
    with pytest.raises(LussError, match="6 channels, the clustering objective's prototypes 5"):
        build((3,))(views_with(unit_rows(7, 5)))


def test_a_stage_that_is_not_given():
    d2s = build((2,))
    views = views_with(unit_rows(7, 6))
    del views.groups[0][2]
    with pytest.raises(LussError, match="stage 2"):
        d2s(views)
