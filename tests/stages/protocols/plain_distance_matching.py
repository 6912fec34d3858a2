"""Distance matching of one image after another, pixel by pixel, from the definition."""

import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def feature_map(backbone, photo: Path, short_side: int) -> np.ndarray:
    """(h, w, L) float64 of a photo at a short side."""
    image = Image.open(photo).convert("RGB")
    width, height = image.size
    if width <= height:
        size = short_side, int(short_side * height / width)
    else:
        size = int(short_side * width / height), short_side
    pixels = np.asarray(image.resize(size, Image.Resampling.BILINEAR)) / 255
    tensor = torch.from_numpy(((pixels - MEAN) / STD).transpose(2, 0, 1).copy()).float()
    with torch.no_grad():
        features = backbone(tensor[None])[-1][0]
    return features.double().permute(1, 2, 0).numpy()


def upsampled(features: np.ndarray) -> np.ndarray:
    """Four times as high and wide, bilinearly, pixels' centres at halves."""
    height, width, channels = features.shape
    result = np.zeros((4 * height, 4 * width, channels))
    for row in range(4 * height):
        for column in range(4 * width):
            y, x = max(0, (row + 0.5) / 4 - 0.5), max(0, (column + 0.5) / 4 - 0.5)
            top, left = int(y), int(x)
            bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
            down, along = y - top, x - left
            result[row, column] = (
                (1 - down) * (1 - along) * features[top, left]
                + (1 - down) * along * features[top, right]
                + down * (1 - along) * features[bottom, left]
                + down * along * features[bottom, right]
            )
    return result


def resized(ids: np.ndarray, height: int, width: int) -> np.ndarray:
    """Nearest, source = floor(dst * in / out)."""
    result = np.zeros((height, width), int)
    for row in range(height):
        for column in range(width):
            result[row, column] = ids[row * ids.shape[0] // height, column * ids.shape[1] // width]
    return result


def read_mask(path: Path) -> np.ndarray:
    red, green, _ = np.asarray(Image.open(path)).astype(int).transpose(2, 0, 1)
    return red + 256 * green


def vectors(features: np.ndarray, mask: np.ndarray) -> dict[int, np.ndarray]:
    """Class -> mean over all pixels of feature times membership."""
    large = upsampled(features)
    small = resized(mask, *large.shape[:2])
    found = {}
    for label in sorted(set(small.flatten().tolist()) - {1000}):
        total = np.zeros(large.shape[2])
        for row in range(large.shape[0]):
            for column in range(large.shape[1]):
                total += large[row, column] * (small[row, column] == label)
        found[label] = total / small.size
    return found


def label_map(features, bank, labels, num_labels, k=10, temperature=0.07) -> np.ndarray:
    """Class of each pixel of the up-sampled map; bank (M, L) at unit length."""
    large = upsampled(features)
    result = np.zeros(large.shape[:2], int)
    for row in range(large.shape[0]):
        for column in range(large.shape[1]):
            pixel = large[row, column]
            cosines = bank @ (pixel / max(np.linalg.norm(pixel), 1e-12))
            votes = [0.0] * num_labels
            for index in np.argsort(-cosines)[:k]:
                votes[labels[index]] += math.exp(cosines[index] / temperature)
            result[row, column] = votes.index(max(votes))
    return result
