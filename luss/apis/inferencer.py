"""Inference with the segmentor of a finished run."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.device import get_device
from mmengine.infer import BaseInferencer
from mmengine.logging import print_log
from mmengine.model import BaseModel
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from numpy.typing import NDArray
from torch.utils.data import Dataset

from luss.apis.categories import WrittenCategories
from luss.apis.finished_run import FinishedRun
from luss.apis.found import FoundCategory, found_categories
from luss.apis.photos import as_paths, find_given
from luss.datasets.image_io import UnreadableImageError, read_image
from luss.engine.inference import stream
from luss.errors import LussError
from luss.evaluation.dump_masks import ids_of
from luss.structures.batches import step_by_size
from luss.visualization.overlay import overlay, resize_ids

__all__ = ["LUSSInferencer", "check_loading", "overlay_of"]

_PIXELS_AT_A_TIME = 50_000_000
"""Largest number of mask pixels per forward pass, unless one photo has more."""

_LONGEST_OVERLAY = 2000
_LOADER = "LoadRGBImage"


class LUSSInferencer(BaseInferencer):
    """Predicts masks of any photos with the segmentor of a finished run.

    ::

        inferencer = LUSSInferencer("work_dirs/pass_s_photos")
        result = inferencer("photos/", batch_size=8, return_datasamples=True, return_vis=True)
        result["predictions"][0].pred_sem_seg.data     # (1, H, W) ids, 0 is 'other'
        result["visualization"][0]                     # (H, W, 3) uint8 RGB

    Inputs are a path of a photo or folder, an array, or a list of these. Photos are prepared as in
    the run's evaluation, which resizes the short side; masks have the photo's size. Photos of a
    batch may differ in size.

    A call accepts ``batch_size``, ``return_datasamples`` (:class:`SegDataSample` instead of dicts),
    ``return_vis`` (see :meth:`visualize`) and ``return_logits`` (see :meth:`postprocess`), and
    keeps all results in memory; use :meth:`stream` for many photos. There is a result for each
    photo, in order. For an unreadable photo it has ``error``, the reason, instead of
    ``categories`` or a mask, and no visualization.

    Args:
        run: a work dir, a checkpoint or a :class:`FinishedRun`.
        config: of the run, for a checkpoint outside of a work dir.
        device: such as ``cuda:1``; by default the accelerator, if available.
        categories: ids of the masks, see :meth:`WrittenCategories.of`.
        upright: apply the EXIF orientation of photos. Evaluation on data sets with masks does not.
        channel_order: of arrays, ``rgb`` or ``bgr`` (as OpenCV reads them).

    Raises:
        LussError: as :meth:`FinishedRun.read` and :meth:`WrittenCategories.of`, or if there is no
            such device.
    """

    visualize_kwargs = {"return_vis"}
    postprocess_kwargs = {"return_logits"}

    def __init__(
        self,
        run: str | os.PathLike | FinishedRun,
        config: str | os.PathLike | None = None,
        device: str | torch.device | None = None,
        *,
        categories: str | None = None,
        upright: bool = True,
        channel_order: str = "rgb",
    ) -> None:
        if channel_order not in ("rgb", "bgr"):
            raise LussError(f"channel_order is {channel_order!r}, expected 'rgb' or 'bgr'")
        self.run = run if isinstance(run, FinishedRun) else FinishedRun.read(run, config)
        self.categories = WrittenCategories.of(self.run, categories)
        self.upright = upright
        self.channel_order = channel_order
        super().__init__(
            {"model": self.run.model},
            str(self.run.checkpoint),
            str(_available_device(device or get_device())),
            scope="luss",
            show_progress=False,
        )

    def stream(
        self,
        paths: str | os.PathLike | Iterable[str | os.PathLike],
        batch_size: int = 1,
        num_workers: int = 0,
    ) -> Iterator[SegDataSample | str]:
        """Predict photos in order, with one batch in memory.

        Args:
            paths: one or several paths of photos.
            batch_size: photos per batch; photos of one size are predicted together.
            num_workers: processes that load photos.

        Raises:
            LussError: if ``batch_size`` or ``num_workers`` is invalid.

        Returns:
            For each photo a sample, see :meth:`forward`, or the reason why it cannot be read.
        """
        # Check before the first photo is requested.
        check_loading(batch_size, num_workers)
        return self._stream(as_paths(paths), batch_size, num_workers)

    def _stream(
        self, paths: Sequence[str | NDArray[np.uint8]], batch_size: int, num_workers: int
    ) -> Iterator[SegDataSample | str]:
        dataset = _Photos(paths, self.pipeline)
        for batch in stream(dataset, range(len(paths)), batch_size, num_workers, "prediction"):
            samples = self._predicted([item for item in batch if not isinstance(item, str)])
            for item in batch:
                yield item if isinstance(item, str) else next(samples)

    def _predicted(self, items: list[dict]) -> Iterator[SegDataSample]:
        """Yield the samples of a batch, predicted in parts whose masks fit into memory."""
        while items:
            pixels = np.cumsum([np.prod(item["data_samples"].ori_shape[:2]) for item in items])
            count = max(1, int(np.searchsorted(pixels, _PIXELS_AT_A_TIME, side="right")))
            samples = self.forward(self.collate_fn(items[:count]))
            items = items[count:]
            while samples:
                yield samples.pop(0)

    def ids(self, sample: SegDataSample) -> NDArray[np.uint16]:
        """Return the mask (H, W) of written ids of a sample of :meth:`forward`."""
        return self.categories.write_as(_predicted_ids(sample))

    def found(self, sample: SegDataSample) -> list[FoundCategory]:
        """Return the categories in a sample of :meth:`forward`, the largest first."""
        logits = sample.seg_logits.data.float().cpu().numpy()
        return found_categories(_predicted_ids(sample), logits, self.categories)

    def __call__(
        self,
        inputs: Any,
        return_datasamples: bool = False,
        batch_size: int = 1,
        **kwargs,
    ) -> dict[str, Any]:
        """Predict photos; see the class for the inputs, and :meth:`postprocess` for the result.

        Raises:
            LussError: if an input is not a photo, ``batch_size`` is invalid, or no photo can be
                read.
        """
        check_loading(batch_size)
        _, _, visualize, postprocess = self._dispatch_kwargs(**kwargs)
        photos = self._inputs_to_list(inputs)
        predictions = list(self._stream(photos, batch_size, 0))
        unreadable = [reason for reason in predictions if isinstance(reason, str)]
        if photos and len(unreadable) == len(photos):
            raise LussError(
                f"cannot read any of {len(photos)} photos; the first error: {unreadable[0]}"
            )
        for reason in unreadable:
            print_log(reason, "current", logging.WARNING)
        pictures = self.visualize(photos, predictions, **visualize)
        samples = [
            _unreadable_sample(str(photo), found) if isinstance(found, str) else found
            for photo, found in zip(photos, predictions, strict=True)
        ]
        return self.postprocess(samples, pictures, return_datasamples, **postprocess)

    # Steps that MMEngine calls

    def _init_model(self, cfg: Any, weights: str | None, device: str = "cpu") -> BaseModel:
        model = self.run.load_model(device)
        model.keep_logits = True
        return model

    def _init_pipeline(self, cfg: Any) -> Callable[[str | NDArray[np.uint8]], dict]:
        return _Preparation(self.run.pipeline, self.upright)

    def _inputs_to_list(self, inputs: Any) -> list[str | NDArray[np.uint8]]:
        """Return paths of photos and RGB arrays (H, W, 3); a folder becomes its photos."""
        photos: list[str | NDArray[np.uint8]] = []
        for given in inputs if isinstance(inputs, list | tuple) else [inputs]:
            if isinstance(given, np.ndarray):
                photos.append(_as_rgb(given, self.channel_order))
            elif isinstance(given, str | os.PathLike):
                photos += [photo.path for photo in find_given([given])]
            else:
                raise LussError(
                    f"cannot predict a {type(given).__name__}; give paths of photos or folders, or "
                    "arrays (H, W, 3) uint8"
                )
        return photos

    @torch.no_grad()
    def forward(self, inputs: dict) -> list[SegDataSample]:
        """Predict a batch.

        Args:
            inputs: a collated batch of prepared photos.

        Returns:
            Samples on the CPU with ``pred_sem_seg`` (1, H, W) int64, the predicted ids, and
            ``seg_logits`` (C + 1, h, w), at feature resolution for a ``PassSegmentor``.

        Raises:
            LussError: if a score is not finite.
        """
        samples = [sample.cpu() for sample in step_by_size(self.model.test_step, inputs)]
        for sample in samples:
            if not torch.isfinite(sample.seg_logits.data).all():
                raise LussError(
                    f"{self.run.checkpoint} predicts scores that are not finite for "
                    f"{sample.get('img_path', 'an array')}; use an earlier checkpoint"
                )
        return samples

    def visualize(
        self,
        inputs: list[str | NDArray[np.uint8]],
        preds: list[SegDataSample | str],
        return_vis: bool = False,
    ) -> list[NDArray[np.uint8] | None] | None:
        """Return overlays (H, W, 3) uint8 RGB of at most 2000 pixels a side, or None.

        The overlay of an unreadable photo is None.
        """
        if not return_vis:
            return None
        return [
            None if isinstance(found, str) else self._overlay(photo, found)
            for photo, found in zip(inputs, preds, strict=True)
        ]

    def _overlay(self, given: str | NDArray[np.uint8], sample: SegDataSample) -> NDArray[np.uint8]:
        photo = given if isinstance(given, np.ndarray) else read_image(given, self.upright)
        return overlay_of(photo, self.ids(sample), self.categories)

    def postprocess(
        self,
        preds: list[SegDataSample],
        visualization: list[NDArray[np.uint8] | None] | None,
        return_datasample: bool = False,
        return_logits: bool = False,
    ) -> dict[str, Any]:
        """Return the result of a call.

        Args:
            preds: samples of :meth:`forward`.
            visualization: of :meth:`visualize`.
            return_datasample: return samples instead of dicts.
            return_logits: keep ``seg_logits`` in the samples.

        Returns:
            ``visualization``, and ``predictions``: samples with ``pred_sem_seg`` (1, H, W) int64,
            the written ids; or dicts with ``photo`` (its path, or None), ``height``, ``width`` and
            ``categories``, the largest first, with ``id``, ``name``, ``area`` (fraction of the
            photo) and ``score`` (mean probability). For an unreadable photo, a sample has
            ``error``, the reason, and no mask; a dict has ``photo`` and ``error``.
        """
        if not return_datasample:
            described = [self._described(sample) for sample in preds]
            return {"predictions": described, "visualization": visualization}
        for sample in preds:
            if "error" in sample:
                continue
            ids = torch.from_numpy(self.ids(sample).astype(np.int64))
            sample.pred_sem_seg = PixelData(data=ids[None])
            if not return_logits:
                sample.pop("seg_logits", None)
        return {"predictions": preds, "visualization": visualization}

    def _described(self, sample: SegDataSample) -> dict[str, Any]:
        if "error" in sample:
            return {"photo": sample.img_path, "error": sample.error}
        height, width = sample.ori_shape[:2]
        return {
            "photo": sample.get("img_path"),
            "height": height,
            "width": width,
            "categories": [asdict(category) for category in self.found(sample)],
        }


def check_loading(batch_size: int, num_workers: int = 0) -> None:
    """Check batch size and number of workers.

    Raises:
        LussError: if ``batch_size`` is less than 1, or ``num_workers`` is negative.
    """
    if batch_size < 1 or num_workers < 0:
        raise LussError(
            f"batch_size is {batch_size} and num_workers {num_workers}, expected at least 1 and 0"
        )


def overlay_of(
    photo: NDArray[np.uint8], ids: NDArray[np.integer], categories: WrittenCategories
) -> NDArray[np.uint8]:
    """Draw the categories of a mask in colour over the photo, as in the report.

    Args:
        photo: (H, W, 3) uint8 RGB.
        ids: (H, W), the written ids.
        categories: of the ids.

    Returns:
        (h, w, 3) uint8 RGB, of the photo's size, or resized to at most 2000 pixels a side.
    """
    if max(ids.shape) > _LONGEST_OVERLAY:
        scale = _LONGEST_OVERLAY / max(ids.shape)
        height, width = (max(1, round(side * scale)) for side in ids.shape)
        resized = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
        photo = resized.astype(np.uint8, copy=False)
        ids = resize_ids(ids, (height, width))
    return overlay(photo, ids, categories.legend.colours, striped=categories.legend.unmatched)


def _unreadable_sample(photo: str, reason: str) -> SegDataSample:
    return SegDataSample(metainfo={"img_path": photo, "error": reason})


def _predicted_ids(sample: SegDataSample) -> NDArray[np.int32]:
    return ids_of(sample.to_dict(), "pred_sem_seg")


class _Preparation:
    """Test pipeline for paths and arrays.

    Args:
        pipeline: configs of transforms.
        upright: whether to apply the EXIF orientation of photos.
    """

    def __init__(self, pipeline: list[dict], upright: bool) -> None:
        self.for_paths = Compose(pipeline)
        self.for_arrays = Compose([step for step in pipeline if step["type"] != _LOADER])
        self.upright = upright

    def __call__(self, photo: str | NDArray[np.uint8]) -> dict:
        """Return ``inputs`` (3, h, w) uint8 and ``data_samples`` of a photo."""
        if isinstance(photo, np.ndarray):
            size = photo.shape[:2]
            return self.for_arrays({"img": photo, "img_shape": size, "ori_shape": size})
        item = {"img_path": photo, "image_id": Path(photo).stem, "upright": self.upright}
        return self.for_paths(item)


class _Photos(Dataset):
    """Prepared photos; the item of an unreadable photo is the reason."""

    def __init__(self, paths: Sequence[str | NDArray[np.uint8]], preparation: _Preparation) -> None:
        self.paths = paths
        self.preparation = preparation

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict | str:
        try:
            return self.preparation(self.paths[index])
        except UnreadableImageError as error:
            return str(error)


def _as_rgb(array: NDArray, channel_order: str) -> NDArray[np.uint8]:
    """Return an array (H, W), (H, W, 1) or (H, W, 3) as (H, W, 3) RGB."""
    grey = array.ndim == 2 or array.shape[2:] == (1,)
    if array.dtype != np.uint8 or not (grey or array.shape[2:] == (3,)) or not array.size:
        raise LussError(
            f"cannot predict an array {array.shape} of {array.dtype}; expected (H, W, 3) or "
            "(H, W), uint8"
        )
    if grey:
        return np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    return array if channel_order == "rgb" else np.ascontiguousarray(array[..., ::-1])


def _available_device(name: str | torch.device) -> torch.device:
    """Return the device of a name.

    Raises:
        LussError: if it is not available.
    """
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    # PyTorch raises RuntimeError, or AssertionError if it was built without the device.
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise LussError(
            f"the device {name!r} is not available: {reason}; choose another --device"
        ) from error
    return device
