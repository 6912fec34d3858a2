import torch
from tolerance import assert_close

from luss.models.objectives.p2p import P2P, p2p_loss

MODULES = {"projection_head_pixel": "projector", "predictor_head_pixel": "predictor"}


def named(arrays, prefix):
    """Tensors under our names of what the file keeps under the authors'."""
    found = {}
    for key, array in arrays.items():
        if key.startswith(prefix):
            module, rest = key.removeprefix(prefix).split(".", 1)
            found[f"{MODULES[module]}.{rest}"] = torch.from_numpy(array)
    return found


def test_plain_loss(golden):
    arrays = golden("p2p_loss_plain.npz")
    predictions, targets = (
        torch.from_numpy(arrays[name]).unflatten(0, (2, -1))
        for name in ("output_pixel_p", "embedding_pixel_z")
    )
    assert_close(p2p_loss(predictions, targets), arrays["loss"])


def test_heads_loss_and_gradients(golden):
    arrays = golden("p2p_loss.npz")
    weights = named(arrays, "weight::")
    hidden, in_channels = weights["projector.0.weight"].shape[:2]
    p2p = P2P(in_channels, hidden, embedding_channels=weights["projector.6.weight"].shape[0])
    p2p.load_state_dict(weights)

    features = torch.from_numpy(arrays["features"]).requires_grad_()
    grid = torch.cat([torch.from_numpy(arrays[name]) for name in ("grid_q", "grid_k")])
    embeddings, predictions = p2p.align(features, grid)
    assert_close(embeddings, arrays["embedding_pixel_z"])
    assert_close(predictions, arrays["output_pixel_p"])

    loss = p2p_loss(predictions.unflatten(0, (2, -1)), embeddings.unflatten(0, (2, -1)))
    assert_close(loss, arrays["loss"])
    loss.backward()
    assert_close(features.grad, arrays["grad_features"])
    gradients = {name: parameter.grad for name, parameter in p2p.named_parameters()}
    expected = named(arrays, "grad::")
    assert gradients.keys() == expected.keys()
    for name, gradient in expected.items():
        assert_close(gradients[name], gradient)
    state = p2p.state_dict()
    for name, statistics in named(arrays, "after::").items():
        assert_close(state[name], statistics)
