"""A made-up ImageNet-S split root: as many classes as wanted, photos of noise."""

from pathlib import Path

import numpy as np
from PIL import Image

from luss.datasets.mask_codec import IGNORE_ID, write_mask


def write_tree(root, classes=300, images=2, height=40, width=52, seed=0):
    """Write train, validation with masks, and test without, as the real ones come.

    Args:
        root: folder of the split root.
        classes: number of class folders.
        images: photos of each class in each split.
        height: of all photos, pixels.
        width: of all photos, pixels.
        seed: of the noise.

    Returns:
        The root.
    """
    root = Path(root)
    draw = np.random.default_rng(seed)
    for category in range(1, classes + 1):
        wnid = f"n{category:08d}"
        for split in ("train", "validation", "test"):
            folder = root / split / wnid
            folder.mkdir(parents=True)
            for number in range(images):
                coarse = draw.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
                photo = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
                photo.save(folder / f"{split}_{category}_{number}.JPEG")
                if split == "validation":
                    ids = np.zeros((height, width), np.int32)
                    ids[height // 4 : -height // 4, width // 4 : -width // 4] = category
                    ids[:3] = IGNORE_ID
                    name = f"{split}_{category}_{number}.png"
                    write_mask(root / "validation-segmentation" / wnid / name, ids)
    return root
