"""What the published configs predict on: the whole image at short side 256."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from PIL import Image

from luss.configuration import read_config

CONFIGS = Path(__file__).parents[3] / "configs"


@pytest.mark.parametrize(
    ("path", "stage"),
    [
        ("pass/pass_s_in300.py", "evaluate"),
        ("semi_supervised/pass_s_in300_lars.py", "semi_supervised"),
        ("distance_matching/resnet50.py", "distance_matching"),
    ],
)
def test_the_short_side_is_256(path, stage, tmp_path):
    init_default_scope("luss")
    pipeline = read_config(CONFIGS / path).stages[stage].test_dataloader.dataset.pipeline
    for width, height, shape in ((400, 300, (256, 341)), (90, 120, (341, 256))):
        Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(tmp_path / "photo.png")
        item = Compose(pipeline)({"img_path": str(tmp_path / "photo.png")})
        assert tuple(item["inputs"].shape) == (3, *shape)
        assert item["data_samples"].ori_shape == (height, width)
