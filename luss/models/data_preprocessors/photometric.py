"""Photometric augmentation of batches on the device.

Transforms and ranges are those of SwAV and BYOL; parameters are drawn for each image.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from luss.registry import MODELS

__all__ = ["ColorJitter", "GaussianBlur", "RandomGrayscale", "Solarize"]


def grayscale(images: Tensor) -> Tensor:
    """Compute the luma (N, 1, H, W) of RGB images (N, 3, H, W), ITU-R 601."""
    red, green, blue = images.split(1, dim=1)
    return (0.299 * red).add_(green, alpha=0.587).add_(blue, alpha=0.114)


def adjust_brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Scale RGB images (N, 3, H, W) in [0, 1] by factors (N, 1, 1, 1)."""
    return (images * factors).clamp_(0, 1)


def adjust_contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Move RGB images (N, 3, H, W) in [0, 1] away from their mean luma by factors (N, 1, 1, 1)."""
    mean = grayscale(images).mean(dim=(2, 3), keepdim=True)
    return torch.lerp(mean, images, factors).clamp_(0, 1)


def adjust_saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Move RGB images (N, 3, H, W) in [0, 1] away from their luma by factors (N, 1, 1, 1)."""
    return torch.lerp(grayscale(images).expand_as(images), images, factors).clamp_(0, 1)


def adjust_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Rotate the hue of RGB images (N, 3, H, W) in [0, 1] by (N, 1, 1, 1) full turns.

    Value and chroma do not change, as in HSV.
    """
    red, green, blue = images.unbind(dim=1)
    value = torch.maximum(torch.maximum(red, green), blue)
    chroma = value - torch.minimum(torch.minimum(red, green), blue)
    # Hue in sixths of a turn, counted from the brightest channel.
    is_red, is_green = red == value, green == value
    difference = torch.where(is_red, green - blue, torch.where(is_green, blue - red, red - green))
    start = torch.where(is_red, 0.0, torch.where(is_green, 2.0, 4.0))
    hue = difference.div_(chroma.clamp(min=1e-12)).add_(start).add_(6 * turns[:, 0])
    # The share of the chroma missing in each channel falls and rises over four sixths of a turn.
    lack = torch.stack([hue + 5, hue + 3, hue + 1], dim=1)
    lack.sub_(torch.floor(lack / 6), alpha=6)
    lack.sub_(2).abs_().neg_().add_(2).clamp_(0, 1)
    return torch.addcmul(value[:, None], lack, chroma[:, None], value=-1)


class _RandomTransform(nn.Module):
    """Transform of a random subset of the images of a batch.

    Args:
        probability: of each image to be transformed.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, images: Tensor) -> Tensor:
        """Transform a random subset of images (N, 3, H, W) float in [0, 1]."""
        if self.probability >= 1:
            return self.transform(images)
        # A selection would wait for the device to count the chosen images; a blend does not.
        chosen = torch.rand(len(images), device=images.device) < self.probability
        if images.device.type != "cpu":
            return torch.where(chosen[:, None, None, None], self.transform(images), images)
        if chosen.any():
            images = images.clone()
            images[chosen] = self.transform(images[chosen])
        return images

    def transform(self, images: Tensor) -> Tensor:
        raise NotImplementedError


def _uniform(like: Tensor, low: float, high: float) -> Tensor:
    return torch.empty(len(like), 1, 1, 1, device=like.device).uniform_(low, high)


@MODELS.register_module()
class ColorJitter(_RandomTransform):
    """Random brightness, contrast, saturation and hue, in an order drawn for each batch.

    Amounts are drawn for each image. (The released code also draws the order for each image, and
    rounds to 8 bits after each of the four.)

    Args:
        brightness: b; the factor is drawn from [max(0, 1 - b), 1 + b].
        contrast: as ``brightness``.
        saturation: as ``brightness``.
        hue: turns are drawn from [-hue, hue]; at most 0.5.
        probability: of each image to be jittered.
    """

    def __init__(
        self,
        brightness: float = 0.8,
        contrast: float = 0.8,
        saturation: float = 0.8,
        hue: float = 0.2,
        probability: float = 0.8,
    ) -> None:
        super().__init__(probability)
        self.strengths = (brightness, contrast, saturation)
        self.hue = hue

    def transform(self, images: Tensor) -> Tensor:
        """Jitter every image."""
        adjustments = (adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue)
        for index in torch.randperm(4).tolist():
            if index == 3:
                amount = _uniform(images, -self.hue, self.hue)
            else:
                strength = self.strengths[index]
                amount = _uniform(images, max(0.0, 1 - strength), 1 + strength)
            images = adjustments[index](images, amount)
        return images


@MODELS.register_module()
class RandomGrayscale(_RandomTransform):
    """Random conversion to grayscale.

    Args:
        probability: of each image to be converted.
    """

    def __init__(self, probability: float = 0.2) -> None:
        super().__init__(probability)

    def transform(self, images: Tensor) -> Tensor:
        """Replace every image by its luma."""
        return grayscale(images).expand_as(images)


@MODELS.register_module()
class GaussianBlur(_RandomTransform):
    """Random Gaussian blur.

    The kernel is a Gaussian, truncated at three times the largest radius. (The released code calls
    PIL, which approximates it by three box blurs.)

    Args:
        radius: smallest and largest standard deviation in pixels.
        probability: of each image to be blurred.
    """

    def __init__(self, radius: tuple[float, float] = (0.1, 2.0), probability: float = 0.5) -> None:
        super().__init__(probability)
        self.radius = radius
        self.reach = math.ceil(3 * radius[1])

    def transform(self, images: Tensor) -> Tensor:
        """Blur every image with its own radius; replicate the border."""
        count, channels, _, _ = images.shape
        sigma = _uniform(images, *self.radius).view(count, 1)
        offsets = torch.arange(-self.reach, self.reach + 1, device=images.device)
        kernel = torch.softmax(-0.5 * (offsets / sigma) ** 2, dim=1)
        kernel = kernel.repeat_interleave(channels, dim=0)[:, None, None]
        padded = F.pad(images, [self.reach] * 4, mode="replicate").flatten(0, 1)[None]
        blurred = F.conv2d(padded, kernel, groups=count * channels)
        blurred = F.conv2d(blurred, kernel.transpose(2, 3), groups=count * channels)
        return blurred[0].unflatten(0, (count, channels))


@MODELS.register_module()
class Solarize(_RandomTransform):
    """Random inversion of the values above a threshold.

    Args:
        threshold: in [0, 1].
        probability: of each image to be solarised.
    """

    def __init__(self, threshold: float = 0.5, probability: float = 0.2) -> None:
        super().__init__(probability)
        self.threshold = threshold

    def transform(self, images: Tensor) -> Tensor:
        """Solarise every image."""
        return torch.where(images >= self.threshold, 1 - images, images)
