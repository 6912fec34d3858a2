"""Pixel attention against the authors' module: all maps, both poolings, BN in both modes."""

import numpy as np
import pytest
import torch

from luss.models.heads.pixel_attention import PixelAttention, upsample


@pytest.fixture
def arrays(golden):
    return golden("pixel_attention.npz")


@pytest.fixture
def head(arrays):
    head = PixelAttention(channels=arrays["features"].shape[1])
    weights = {
        key.removeprefix("weight::"): torch.from_numpy(value)
        for key, value in arrays.items()
        if key.startswith("weight::")
    }
    head.load_state_dict(weights)
    return head


def assert_close(found: torch.Tensor, expected: np.ndarray):
    expected = torch.from_numpy(expected)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_maps_in_eval_mode(arrays, head):
    features = torch.from_numpy(arrays["features"])
    head.eval()
    with torch.no_grad():
        assert_close(upsample(features), arrays["eval_upsampled_features"])
        assert_close(head.attention(features), arrays["eval_attention_full"])
        assert_close(head.mean_attention(features), arrays["eval_attention_mean"])


def test_pooling_in_eval_mode(arrays, head):
    features = torch.from_numpy(arrays["features"])
    head.eval()
    with torch.no_grad():
        assert_close(head(features), arrays["eval_pooled_train_style"])
        assert_close(head.pool_raw(features), arrays["eval_pooled_cluster"])


def test_training_forward_and_running_statistics(arrays, head):
    head.train()
    assert_close(head(torch.from_numpy(arrays["features"])).detach(), arrays["train_pooled"])
    state = head.state_dict()
    after = [key for key in arrays if key.startswith("after_train_forward::")]
    assert after
    for key in after:
        assert_close(state[key.removeprefix("after_train_forward::")], arrays[key])
