"""The segmentor of a finished run as one ONNX file, which needs neither luss nor PyTorch."""

import importlib.util
import io
import json
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL
import torch
from mmengine.logging import print_log
from numpy.typing import NDArray

from luss.apis.categories import WrittenCategories
from luss.apis.finished_run import FinishedRun
from luss.apis.inferencer import LUSSInferencer
from luss.apis.onnx_model import PhotoSegmentor
from luss.apis.photos import find_given
from luss.datasets.image_io import UnreadableImageError, read_image
from luss.datasets.transforms.resizing import MAX_RATIO, resize_image, short_side_size
from luss.errors import LussError
from luss.files import atomic_write, output_file
from luss.models.segmentors.pass_segmentor import PassSegmentor
from luss.visualization.gallery import evenly_spaced

__all__ = [
    "OPSET",
    "SMALLEST_AGREEMENT",
    "Agreement",
    "compare",
    "drawn_pictures",
    "export_onnx",
    "require_equal_resizing",
    "traced",
]

OPSET = 17
"""Version of ONNX's operators in the file."""

SMALLEST_AGREEMENT = 0.995
"""Of pixels, in each photo of the check, whose ids are those of PyTorch."""

_NEEDED = ("onnx", "onnxruntime")
_TRACED = (120, 160)
_SIZES = ((64, 64), (97, 131), (240, 320), (375, 500), (640, 427), (100, 900), (1100, 1300))
_LONG = (4, 1.5)
"""Sides, in short sides of the run, of pictures that are resized in each of Pillow's ways."""

_MOST_PHOTOS = 16
_FIXED = (
    "nothing was written. Both were given the same pixels, so the model itself computes something "
    "else for this size: transformers, whose positions depend on the size of the photo, cannot be "
    "exported; convolutional backbones can, if they are trained so far that one category is clear"
)
_LARGEST_FILE = (1 << 31) - 1
_FATAL = 4
"""Severity of what ONNX Runtime prints; errors are raised as well."""


@dataclass(frozen=True)
class Agreement:
    """How far ONNX Runtime and PyTorch give the same ids.

    Attributes:
        photos: what was compared -> fraction of pixels whose ids are the same.
        pixels: fraction over all pixels together.
    """

    photos: dict[str, float]
    pixels: float

    @property
    def worst(self) -> tuple[str, float]:
        """The photo of the smallest fraction, and the fraction."""
        return min(self.photos.items(), key=lambda item: item[1])

    def require(self, smallest: float = SMALLEST_AGREEMENT) -> None:
        """Refuse a file that differs.

        Raises:
            LussError: if a photo's fraction is smaller.
        """
        name, worst = self.worst
        if worst < smallest:
            raise LussError(
                f"the exported model differs from PyTorch: {100 * worst:.2f} % of the pixels of "
                f"{name} have the same id, expected {100 * smallest:g} % or more; {_FIXED}"
            )


def export_onnx(
    run: FinishedRun,
    out: str | Path,
    categories: str | None = None,
    photos: list[str] | None = None,
    replace: bool = False,
) -> Agreement:
    """Write a segmentor as one ONNX file, once it is seen to give what PyTorch gives.

    The file takes ``photo``, (1, H, W, 3) uint8 RGB of any size, and gives ``ids``, (1, H, W)
    int64, and ``scores``, (1, H, W) float32, the probability of each pixel's id. Resizing and
    normalisation are inside. Its metadata has ``luss.names``, a JSON object of id to name.

    Args:
        run: whose segmentor is exported.
        out: path of the file.
        categories: which ids are written, see :meth:`WrittenCategories.of`.
        photos: paths of photos, or of folders of them, to compare on, 16 of them at most; besides
            drawn pictures of several sizes.
        replace: whether ``out`` may exist.

    Returns:
        How well the file agrees with PyTorch.

    Raises:
        LussError: if packages are missing, the model cannot be exported, or its ids differ from
            PyTorch's in more than 0.5 percent of a photo's pixels; nothing is written then.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise LussError(
            f"export needs {' and '.join(missing)}; install them with pip install 'luss[export]'"
        )
    out = output_file(out, "--out", replace)
    given = given_pictures(photos or [])
    written = WrittenCategories.of(run, categories)
    model = _photo_segmentor(run, written)
    compared = drawn_pictures(model.short_side) | given
    require_equal_resizing(model, compared)
    content = _with_metadata(traced(model), run, written)
    inferencer = LUSSInferencer(run, device="cpu", categories=categories)

    def expected(photo: NDArray[np.uint8]) -> NDArray[np.int64]:
        (sample,) = inferencer([photo], return_datasamples=True)["predictions"]
        return sample.pred_sem_seg.data[0].numpy()

    agreement = compare(content, expected, compared)
    agreement.require()
    with atomic_write(out) as file:
        file.write(content)
    return agreement


def _photo_segmentor(run: FinishedRun, written: WrittenCategories) -> PhotoSegmentor:
    model = run.load_model("cpu")
    if not isinstance(model, PassSegmentor) or model.cam_threshold is not None:
        kind = type(model).__name__
        said = "with cam_threshold" if isinstance(model, PassSegmentor) else "of that type"
        raise LussError(f"{kind} cannot be exported {said}; PassSegmentor without it can")
    kinds = [step["type"] for step in run.pipeline]
    if kinds != ["LoadRGBImage", "ResizeShortSide", "PackInputs"]:
        raise LussError(
            f"photos of this run are prepared by {', '.join(kinds)}; only the resizing of "
            "ResizeShortSide can be put into the file"
        )
    resize = run.pipeline[1]
    max_long = resize.get("max_long") or MAX_RATIO * resize["size"]
    multiple_of = resize.get("multiple_of")
    return PhotoSegmentor(
        model, resize["size"], max_long, written.ids, multiple_of=multiple_of
    ).eval()


def require_equal_resizing(model: PhotoSegmentor, photos: dict[str, NDArray[np.uint8]]) -> None:
    """Check that photos are resized to the bytes of the installed Pillow.

    Args:
        model: resizes.
        photos: name -> photo (H, W, 3) uint8 RGB.

    Raises:
        LussError: if a photo is not, since Pillow's rule is not the one that luss knows.
    """
    for name, photo in photos.items():
        height, width = photo.shape[:2]
        size = short_side_size(width, height, model.short_side, model.max_long)
        found = model.resize(torch.from_numpy(photo)[None])[0].permute(1, 2, 0).numpy()
        differing = float((found != resize_image(photo, *size)).any(axis=2).mean())
        if differing:
            raise LussError(
                f"the file would resize {name} otherwise than Pillow {PIL.__version__} does "
                f"({100 * differing:.2f} % of the pixels differ); nothing was written. Install a "
                "version of Pillow that luss is tested with (requirements/tested.txt), and report "
                "this one"
            )


@torch.no_grad()
def traced(model: PhotoSegmentor) -> bytes:
    """The model in ONNX, weights inside.

    Raises:
        LussError: if it has what ONNX has not, or is too large.
    """
    buffer = io.BytesIO()
    photo = torch.zeros((1, *_TRACED, 3), dtype=torch.uint8)
    with warnings.catch_warnings():
        # The exporter that follows sizes as tensors, which torch.export would make constants of,
        # says that it is the older one; and that sizes which really are constant become such.
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                model,
                (photo,),
                buffer,
                input_names=["photo"],
                output_names=["ids", "scores"],
                dynamic_axes={
                    name: {1: "height", 2: "width"} for name in ("photo", "ids", "scores")
                },
                opset_version=OPSET,
                dynamo=False,
            )
        except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise LussError(f"this model cannot be written as ONNX: {reason}") from error
    if buffer.tell() > _LARGEST_FILE:
        raise LussError("the model has more than 2 GB, which one ONNX file cannot hold")
    return buffer.getvalue()


def _with_metadata(content: bytes, run: FinishedRun, written: WrittenCategories) -> bytes:
    import onnx

    model = onnx.load_from_string(content)
    names = {str(index): written.legend.name(index) for index in written.used}
    facts = {
        "luss.names": json.dumps(names),
        "luss.categories": written.kind,
        "luss.checkpoint": f"{run.checkpoint.parent.name}/{run.checkpoint.name}",
        "luss.input": "photo: (1, H, W, 3) uint8 RGB, upright",
        "luss.output": "ids: (1, H, W) int64, 0 is other; scores: (1, H, W) float32 in 0..1",
    }
    onnx.helper.set_model_props(model, facts)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def compare(
    content: bytes,
    expected: Callable[[NDArray[np.uint8]], NDArray[np.integer]],
    photos: dict[str, NDArray[np.uint8]],
) -> Agreement:
    """Run a model in ONNX Runtime and compare its ids.

    Args:
        content: of the file.
        expected: from a photo (H, W, 3) to its ids (H, W).
        photos: name -> photo (H, W, 3) uint8 RGB.

    Raises:
        LussError: if ONNX Runtime cannot run the model on one of them.
    """
    session = _session(content)
    agreement, same, count = {}, 0, 0
    for name, photo in photos.items():
        try:
            found = session.run(["ids"], {"photo": photo[None]})[0][0]
        except Exception as error:  # onnxruntime raises a class for each of its codes
            reason = str(error).strip().partition("\n")[0]
            raise LussError(f"the exported model does not run on {name}; {_FIXED}: {reason}") from (
                error
            )
        equal = found == expected(photo)
        agreement[name] = float(equal.mean())
        same, count = same + int(equal.sum()), count + equal.size
        print_log(f"{name}: {100 * agreement[name]:.3f} % of pixels have the same id", "current")
    return Agreement(agreement, same / count)


def _session(content: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def drawn_pictures(short_side: int) -> dict[str, NDArray[np.uint8]]:
    """Draw what to compare on in any case.

    Args:
        short_side: to which the run resizes photos, in pixels. Some pictures are so much longer
            that Pillow resizes their columns first.

    Returns:
        Name -> picture (H, W, 3) uint8 RGB, of several sizes.
    """
    random = np.random.default_rng(0)
    pictures = {}
    long, short = (int(sides * short_side) for sides in _LONG)
    for height, width in (*_SIZES, (long, short), (short, long)):
        coarse = random.integers(0, 256, (5, 7, 3), dtype=np.uint8)
        smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        grain = random.integers(-20, 21, (height, width, 3))
        drawn = np.clip(smooth + grain, 0, 255).astype(np.uint8)
        pictures[f"a drawn picture of {height} x {width}"] = drawn
    return pictures


def given_pictures(paths: list[str]) -> dict[str, NDArray[np.uint8]]:
    """Read some of the photos that the user gave, spread evenly.

    Args:
        paths: of photos and folders.

    Returns:
        Path -> photo (H, W, 3) uint8 RGB; those that cannot be read are left out with a warning.

    Raises:
        LussError: if there is no such photo or folder, or none of those chosen can be read.
    """
    pictures, unreadable = {}, []
    found = find_given(paths) if paths else []
    for index in evenly_spaced(len(found), _MOST_PHOTOS) if found else []:
        path = found[index].path
        try:
            pictures[str(path)] = read_image(path, True)
        except UnreadableImageError as error:
            print_log(f"{error}; it is not compared", "current", logging.WARNING)
            unreadable.append(error)
    if unreadable and not pictures:
        raise LussError(f"no photo to compare on can be read; {unreadable[0]}") from unreadable[0]
    return pictures
