import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photo_folder(tmp_path):
    """Twelve photos of 48 px, each a bright square on noise."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(12):
        pixels = rng.integers(0, 90, (48, 60, 3), dtype=np.uint8)
        pixels[12:36, 18:42, index % 3] = 230
        Image.fromarray(pixels).save(folder / f"photo_{index}.png")
    return folder
