import pytest
import torch
from tolerance import assert_close

from luss.models.heads import PixelPropagation
from luss.models.objectives.momentum_encoder import cosine_momentum
from luss.models.objectives.pixpro import consistency_loss
from luss.structures import near_pixels


@pytest.mark.parametrize("ratio", ["0.5", "0.7"])
def test_loss_of_one_direction(golden, ratio):
    arrays = golden("pixpro.npz")
    query, key, first, second = (
        torch.from_numpy(arrays[name]) for name in ("query", "key", "coord_query", "coord_key")
    )
    near = near_pixels(first, second, tuple(query.shape[2:]), float(ratio))
    assert_close(consistency_loss(query, key, near), arrays[f"loss_pos_ratio_{ratio}"])


def test_pixel_propagation(golden):
    arrays = golden("pixpro.npz")
    module = PixelPropagation(arrays["ppm_input"].shape[1], sharpness=2)
    weights = {"weight": arrays["ppm_value_weight"], "bias": arrays["ppm_value_bias"]}
    module.value.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    output = module(torch.from_numpy(arrays["ppm_input"]))
    expected = arrays["ppm_output"]
    assert_close(output, expected)


def test_momentum_of_the_copy(golden):
    arrays = golden("pixpro.npz")
    found = [cosine_momentum(int(step), 1000, base=0.99) for step in arrays["momentum_steps"]]
    assert_close(found, arrays["momentum_values"], relative=1e-12)
