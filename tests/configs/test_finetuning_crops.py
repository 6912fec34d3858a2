"""Crops of fine-tuning, as the config's data set gives them: half are mirrored, masks alike."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from luss.configuration import read_config
from luss.datasets import ImageNetS
from luss.datasets.mask_codec import write_mask
from luss.registry import TRANSFORMS

RECIPES = Path(__file__).parents[2] / "configs" / "semi_supervised"
DRAWS = 100


@pytest.fixture
def root(tmp_path):
    """A photo that grows brighter to the right; its mask says how bright, in 50 steps."""
    ramp = np.repeat(np.arange(50, dtype=np.uint8), 4)[None].repeat(150, axis=0)
    path = tmp_path / "train-semi" / "n01" / "a.png"
    path.parent.mkdir(parents=True)
    Image.fromarray(np.stack([5 * ramp] * 3, axis=2)).save(path)
    write_mask(tmp_path / "train-semi-segmentation" / "n01" / "a.png", ramp.astype(np.int32))
    return tmp_path


@pytest.mark.parametrize("recipe", ["lars", "adamw"])
def test_half_of_the_crops_are_mirrored_with_their_masks(recipe, root):
    config = read_config(RECIPES / f"pass_s_in50_{recipe}.py")
    steps = config.stages.finetune_semi.train_dataloader.dataset.pipeline
    dataset = ImageNetS(
        str(root),
        "train-semi",
        num_mask_classes=50,
        pipeline=[TRANSFORMS.build(dict(step)) for step in steps],
    )
    mirrored = 0
    for draw in range(DRAWS):
        item = dataset[draw]
        image, ids = item["inputs"].float(), item["data_samples"].gt_sem_seg.data[0]
        assert image.shape == (3, 224, 224)
        assert ids.shape == (224, 224)
        # Smooth where the mask has steps.
        assert (image[0] - 5 * ids).abs().max() <= 5
        slopes = {int(step) for step in ids.diff(dim=1).sign().unique()}
        assert slopes in ({0, 1}, {0, -1})
        mirrored += slopes == {0, -1}
    # Five deviations of a fair coin.
    assert abs(mirrored - DRAWS / 2) < 2.5 * DRAWS**0.5
