"""What protocols predict on unless told otherwise: the whole image at short side 256."""

import numpy as np
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from PIL import Image

from luss.stages.protocol_stage import WHOLE_IMAGE


def test_the_short_side_is_256(tmp_path):
    init_default_scope("luss")
    for width, height, shape in ((400, 300, (256, 341)), (90, 120, (341, 256))):
        Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(tmp_path / "photo.png")
        item = Compose(WHOLE_IMAGE)({"img_path": str(tmp_path / "photo.png")})
        assert tuple(item["inputs"].shape) == (3, *shape)
        assert item["data_samples"].ori_shape == (height, width)
