"""Every algorithm of the table with every set of objectives: its own loss is as it was."""

import pytest
import torch
from mmengine.optim import OptimWrapper
from small_algorithms import ALGORITHMS, BATCH, OBJECTIVES, batch, build, build_alone

CASES = [
    (name, choice)
    for name, algorithm in ALGORITHMS.items()
    for choice in OBJECTIVES
    if algorithm.maps or choice == "none"
]


def rows_through(backbone):
    """List that fills with the images that go through a backbone."""
    seen = []
    backbone.register_forward_pre_hook(lambda _, inputs: seen.extend(inputs[0]))
    return seen


@pytest.mark.parametrize(("name", "choice"), CASES)
def test_two_iterations(name, choice):
    algorithm, objectives = ALGORITHMS[name], OBJECTIVES[choice]
    model, alone = build(name, objectives), build_alone(name)
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
    seen = rows_through(model.backbone)
    for iteration in range(2):
        data = batch(seed=iteration)
        if iteration:
            own_state = {k: v for k, v in model.state_dict().items() if k in alone.state_dict()}
            alone.load_state_dict(own_state)
        torch.manual_seed(iteration)
        expected = alone(data["inputs"], mode="loss")
        torch.manual_seed(iteration)
        losses = model(**data, mode="loss")

        # Bit for bit, in the first iteration from weights drawn with the same seed.
        for key, loss in expected.items():
            assert torch.equal(losses[key], loss), key
        assert {key.split("_")[1] for key in losses.keys() - expected.keys()} == set(objectives)
        total, logged = model.parse_losses(losses)
        extra = sum(loss for key, loss in losses.items() if key not in expected)
        torch.testing.assert_close(total, alone.parse_losses(expected)[0] + extra)
        assert torch.equal(logged["loss"], total)

        # The algorithm's state (queues, momentum copies) changed as without objectives. Statistics
        # of the backbone also count the views that were run for the objectives.
        views = max(algorithm.own_views, 2 if objectives else 0)
        now = model.state_dict()
        for key, value in alone.state_dict().items():
            if key.startswith("backbone.") and views > algorithm.own_views:
                continue
            assert torch.equal(now[key], value), key

        # Each image of each view once.
        assert len(seen) == views * BATCH
        for view in data["inputs"][:views]:
            for image in view:
                assert sum(torch.equal(image, other) for other in seen) == 1
        seen.clear()

        optimizer.update_params(total)
        for key, param in model.named_parameters():
            assert param.grad is None or param.grad.isfinite().all(), key


@pytest.mark.parametrize("name", [name for name, algorithm in ALGORITHMS.items() if algorithm.maps])
def test_objectives_see_each_view_where_it_belongs(name):
    """Statistics of batch norm aside, features are those of each view on its own."""
    model = build(name, ("clustering", "d2s", "p2p"), num_views=2)
    seen = []
    model.objectives["clustering"].register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0])
    )
    model.backbone.eval()
    data = batch(small=2)
    model(**data, mode="loss")
    (views,) = seen
    assert views.batch_size == BATCH
    assert [set(group) for group in views.groups] == [{3, 4}, {3, 4}]
    with model.tap.recording() as calls, torch.no_grad():
        for view in data["inputs"]:
            model.backbone(view)
    for group, members in zip(views.groups, (calls[:2], calls[2:]), strict=True):
        for place, stage in enumerate((3, 4)):
            expected = torch.cat([outputs[place] for _, outputs in members])
            torch.testing.assert_close(group[stage], expected, rtol=1e-4, atol=1e-5)
    for view, geometry in enumerate(views.geometry):
        assert torch.equal(geometry.rectangles, data["geometry"][:, view, :4])
