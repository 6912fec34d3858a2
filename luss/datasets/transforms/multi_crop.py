"""Multi-crop views with their source rectangles (SwAV, section 3.3; PASS, section 4.2)."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from luss.datasets.transforms.crop_rectangle import draw_crop_rectangle
from luss.errors import LussError
from luss.registry import TRANSFORMS

__all__ = ["MultiCrop", "PackViews", "ViewSpec", "resize_pillow", "resize_torch"]


@dataclass(frozen=True)
class ViewSpec:
    """Number, size and scale of one kind of views.

    Attributes:
        count: number of views.
        size: side of the square view, in pixels.
        scale: smallest and largest area of the source rectangle, as a fraction of the photo's.
    """

    count: int
    size: int
    scale: tuple[float, float]

    def __post_init__(self) -> None:
        fits = self.count >= 1 and self.size >= 1 and len(self.scale) == 2
        if not fits or not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise LussError(
                f"MultiCrop: invalid {self}. Set count and size to at least 1, and "
                "0 < scale[0] <= scale[1] <= 1"
            )


def resize_pillow(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize (H, W, 3) uint8 to (size, size, 3) by PIL, bilinear and antialiased."""
    resized = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def resize_torch(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize as :func:`resize_pillow`, but three times faster; values differ by at most one."""
    batch = torch.from_numpy(image).permute(2, 0, 1)[None]
    resized = torch.nn.functional.interpolate(
        batch, (size, size), mode="bilinear", align_corners=False, antialias=True
    )
    return resized[0].permute(1, 2, 0).numpy()


_BACKENDS = {"pillow": resize_pillow, "torch": resize_torch}


@TRANSFORMS.register_module()
class MultiCrop(BaseTransform):
    """Transform that draws random resized crops of several sizes, with their source rectangles.

    It draws the same numbers from Python's ``random``, in the same order, as the released code.

    Args:
        views: keyword arguments of :class:`ViewSpec`, large crops first: the first two views
            supervise the others and are aligned by P2P.
        ratio: smallest and largest width / height of a rectangle.
        flip_probability: probability that a view is mirrored.
        backend: ``pillow``, or ``torch``, which is faster and differs by at most two of 255 levels.
    """

    def __init__(
        self,
        views: Sequence[dict] = (
            {"count": 2, "size": 224, "scale": (0.14, 1.0)},
            {"count": 6, "size": 96, "scale": (0.05, 0.14)},
        ),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip_probability: float = 0.5,
        backend: str = "pillow",
    ) -> None:
        self.specs = [_view_spec(view) for view in views]
        self.ratio = (ratio[0], ratio[1])
        self.flip_probability = flip_probability
        if not self.specs or max(spec.size for spec in self.specs) != self.specs[0].size:
            raise LussError(
                f"MultiCrop: the sizes of views are {[spec.size for spec in self.specs]}. Set at "
                "least one view, the largest first"
            )
        if backend not in _BACKENDS:
            raise LussError(
                f"MultiCrop: unknown backend {backend!r}. Choose one of {sorted(_BACKENDS)}"
            )
        self.backend = backend

    def transform(self, results: dict) -> dict:
        """Cut the views out of a photo.

        Args:
            results: ``img`` is (H, W, 3) uint8, RGB.

        Returns:
            ``results`` with ``views``, a list of V arrays (S, S, 3) uint8 with each view's size S,
            and ``geometry`` (V, 7) float32: left, top, width and height of each view's rectangle
            in pixels of ``img``, 1 if the view is mirrored, and width and height of ``img``.
        """
        image = results["img"]
        height, width = image.shape[:2]
        resize = _BACKENDS[self.backend]
        views, geometry = [], []
        for spec in self.specs:
            for _ in range(spec.count):
                top, left, h, w = draw_crop_rectangle(width, height, spec.scale, self.ratio)
                flipped = random.random() < self.flip_probability
                # Crop first: with PIL's `box`, pixels outside the rectangle would bleed in.
                view = resize(image[top : top + h, left : left + w], spec.size)
                views.append(view[:, ::-1] if flipped else view)
                geometry.append((left, top, w, h, flipped, width, height))
        results["views"] = views
        results["geometry"] = np.array(geometry, np.float32)
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(views={self.specs}, ratio={self.ratio})"


@TRANSFORMS.register_module()
class PackViews(BaseTransform):
    """Packing of views for ``default_collate`` and :class:`luss.models.ViewPreprocessor`."""

    def transform(self, results: dict) -> dict[str, list[Tensor] | Tensor]:
        """Pack the views and their geometry.

        Returns:
            ``inputs``, V contiguous uint8 tensors (3, S, S), and ``geometry``, (V, 7) float32.
        """
        # Stacking permuted tensors would give channels-last batches.
        inputs = [
            torch.from_numpy(np.ascontiguousarray(view.transpose(2, 0, 1)))
            for view in results["views"]
        ]
        return {"inputs": inputs, "geometry": torch.from_numpy(results["geometry"])}


def _view_spec(view: dict) -> ViewSpec:
    try:
        return ViewSpec(**{**view, "scale": tuple(view["scale"])})
    except (KeyError, TypeError) as error:
        raise LussError(
            f"MultiCrop: invalid view {view!r}. Set count, size and scale, such as "
            "dict(count=2, size=224, scale=(0.14, 1.0))"
        ) from error
