import pytest
import torch

from luss.errors import LussError
from luss.structures import ViewFeatures


def features(batch_size=3, large=2, small=4):
    """Each feature map is filled with the number of its view times 100 plus that of its photo."""

    def group(views, side):
        rows = [100.0 * view + photo for view in views for photo in range(batch_size)]
        return torch.tensor(rows)[:, None, None, None].expand(-1, 5, side, side)

    deep = [group(range(large), 4), group(range(large, large + small), 2)]
    return ViewFeatures([{3: deep[0] + 0.5, 4: deep[0]}, {3: deep[1], 4: deep[1]}], batch_size, [])


def test_pooled_features_are_view_major():
    pooled = features().pooled()
    assert pooled.shape == (18, 5)
    assert pooled[:, 0].tolist() == [100 * view + photo for view in range(6) for photo in range(3)]


def test_large_crops_of_a_stage():
    large = features(large=3).large(3)
    assert large[:, 0, 0, 0].tolist() == [0.5, 1.5, 2.5, 100.5, 101.5, 102.5]


def test_a_stage_that_the_backbone_does_not_give():
    with pytest.raises(LussError, match="stage 2"):
        features().large(2)


def test_one_large_crop_is_too_few():
    with pytest.raises(LussError, match="two large crops"):
        features(large=1).large(4)
