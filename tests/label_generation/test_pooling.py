"""Features pooled over a map of foreground."""

import numpy as np
import torch

from luss.label_generation.feature_maps import pool_over


def test_features_are_pooled_over_cells():
    features = torch.arange(8.0).reshape(1, 2, 2, 2)
    weights = torch.zeros(1, 1, 4, 4)
    weights[..., :2, :2] = 1
    weights[..., 3, 3] = 1
    # The last cell is covered by a quarter.
    expected = (features[..., 0, 0] + features[..., 1, 1] / 4) / 1.25
    assert torch.allclose(pool_over(features, weights), expected)
    assert torch.allclose(pool_over(features, torch.ones(1, 1, 1, 1)), features.mean((2, 3)))
    assert not pool_over(features, torch.zeros(1, 1, 3, 3)).any()
    assert np.isfinite(pool_over(features, torch.zeros(1, 1, 3, 3))).all()
