"""Export of a finished run's segmentor to one ONNX file, which needs neither luss nor PyTorch."""

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
"""Smallest accepted fraction of pixels with PyTorch's ids in each photo."""

_NEEDED = ("onnx", "onnxruntime")
_TRACED = (120, 160)
_SIZES = ((64, 64), (97, 131), (240, 320), (375, 500), (640, 427), (100, 900), (1100, 1300))
_LONG = (4, 1.5)
"""Sides of elongated pictures, in short sides of the run; they cover both of Pillow's orders."""

_MOST_PHOTOS = 16
_NOT_WRITTEN = (
    "nothing was written. Transformers cannot be exported, since their position embeddings depend "
    "on the photo's size; convolutional backbones can, if they are trained well enough that "
    "scores are not tied"
)
_LARGEST_FILE = (1 << 31) - 1
_FATAL = 4
"""Log level of ONNX Runtime; errors are raised as well."""


@dataclass(frozen=True)
class Agreement:
    """Agreement of the ids of ONNX Runtime and PyTorch.

    Attributes:
        photos: name of a photo -> fraction of its pixels with equal ids.
        pixels: fraction of all pixels.
    """

    photos: dict[str, float]
    pixels: float

    @property
    def worst(self) -> tuple[str, float]:
        """The photo with the smallest fraction, and the fraction."""
        return min(self.photos.items(), key=lambda item: item[1])

    def require(self, smallest: float = SMALLEST_AGREEMENT) -> None:
        """Check that the agreement is large enough.

        Raises:
            LussError: if a photo's fraction is smaller than ``smallest``.
        """
        name, worst = self.worst
        if worst < smallest:
            raise LussError(
                f"the exported model differs from PyTorch: {100 * worst:.2f} % of the pixels of "
                f"{name} have the same id, expected at least {100 * smallest:g} %; {_NOT_WRITTEN}"
            )


def export_onnx(
    run: FinishedRun,
    out: str | Path,
    categories: str | None = None,
    photos: list[str] | None = None,
    replace: bool = False,
) -> Agreement:
    """Write a segmentor as one ONNX file, after comparing it with PyTorch.

    The input is ``photo``, (1, H, W, 3) uint8 RGB of any size; outputs are ``ids``, (1, H, W)
    int64, and ``scores``, (1, H, W) float32, the probability of each pixel's id. Resizing and
    normalisation are included, a refiner of predictions is not. The metadata contain
    ``luss.names``, a JSON object of id to name.

    Args:
        run: with the segmentor.
        out: path of the file.
        categories: the written ids, see :meth:`WrittenCategories.of`.
        photos: paths of photos or folders; up to 16 photos are compared, and generated pictures
            of several sizes.
        replace: whether ``out`` may exist.

    Returns:
        The agreement of the file with PyTorch.

    Raises:
        LussError: if packages are missing, the model cannot be exported, or more than 0.5 percent
            of a photo's pixels have other ids than PyTorch's; nothing is written then.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise LussError(f"export needs {' and '.join(missing)}; run pip install 'luss[export]'")
    out = output_file(out, "--out", replace)
    if (refiner := run.model.get("refiner")) is not None:
        print_log(
            f"the file does not contain the refiner {refiner['type']}: edges of its masks follow "
            "the photo less closely than those of luss predict",
            "current",
            logging.WARNING,
        )
        run = run.without_refiner()
    given = given_pictures(photos or [])
    written = WrittenCategories.of(run, categories)
    model = _photo_segmentor(run, written)
    compared = drawn_pictures(model.short_side) | given
    require_equal_resizing(model, compared)
    content = _with_metadata(traced(model), run, written)
    inferencer = LUSSInferencer(run, device="cpu", categories=categories)

    def predict(photo: NDArray[np.uint8]) -> NDArray[np.int64]:
        (sample,) = inferencer([photo], return_datasamples=True)["predictions"]
        return sample.pred_sem_seg.data[0].numpy()

    agreement = compare(content, predict, compared)
    agreement.require()
    with atomic_write(out) as file:
        file.write(content)
    return agreement


def _photo_segmentor(run: FinishedRun, written: WrittenCategories) -> PhotoSegmentor:
    model = run.load_model("cpu")
    if not isinstance(model, PassSegmentor) or model.cam_threshold is not None:
        kind = type(model).__name__
        setting = " with cam_threshold" if isinstance(model, PassSegmentor) else ""
        raise LussError(
            f"the model is a {kind}{setting}, expected a PassSegmentor without cam_threshold"
        )
    kinds = [step["type"] for step in run.pipeline]
    if kinds != ["LoadRGBImage", "ResizeShortSide", "PackInputs"]:
        raise LussError(
            f"the test pipeline of this run is {', '.join(kinds)}, expected LoadRGBImage, "
            "ResizeShortSide, PackInputs, which the file can contain"
        )
    resize = run.pipeline[1]
    max_long = resize.get("max_long") or MAX_RATIO * resize["size"]
    multiple_of = resize.get("multiple_of")
    return PhotoSegmentor(
        model, resize["size"], max_long, written.ids, multiple_of=multiple_of
    ).eval()


def require_equal_resizing(model: PhotoSegmentor, photos: dict[str, NDArray[np.uint8]]) -> None:
    """Check that the model resizes photos to the same bytes as the installed Pillow.

    Args:
        model: to check.
        photos: name -> photo (H, W, 3) uint8 RGB.

    Raises:
        LussError: if they differ, since this version of Pillow resizes differently.
    """
    for name, photo in photos.items():
        height, width = photo.shape[:2]
        size = short_side_size(width, height, model.short_side, model.max_long)
        found = model.resize(torch.from_numpy(photo)[None])[0].permute(1, 2, 0).numpy()
        differing = float((found != resize_image(photo, *size)).any(axis=2).mean())
        if differing:
            raise LussError(
                f"the file resizes {name} differently from Pillow {PIL.__version__} "
                f"({100 * differing:.2f} % of the pixels); nothing was written. Install a version "
                "of Pillow that luss is tested with (requirements/tested.txt), and report this one"
            )


@torch.no_grad()
def traced(model: PhotoSegmentor) -> bytes:
    """Return the model in ONNX format, with its weights.

    Raises:
        LussError: if ONNX does not support an operation, or the model is too large.
    """
    buffer = io.BytesIO()
    photo = torch.zeros((1, *_TRACED, 3), dtype=torch.uint8)
    with warnings.catch_warnings():
        # The older exporter keeps sizes as tensors, which torch.export turns into constants. It
        # warns about its age, and about sizes that are constant indeed.
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                model,
                (photo,),
                buffer,  # type: ignore[arg-type]  # the older exporter accepts a buffer
                input_names=["photo"],
                output_names=["ids", "scores"],
                dynamic_axes={
                    name: {1: "height", 2: "width"} for name in ("photo", "ids", "scores")
                },
                opset_version=OPSET,
                dynamo=False,
            )
        except (RuntimeError, TypeError, torch.onnx.errors.OnnxExporterError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise LussError(f"ONNX does not support this model: {reason}") from error
    if buffer.tell() > _LARGEST_FILE:
        raise LussError(
            f"the model has {buffer.tell()} bytes, but an ONNX file can contain {_LARGEST_FILE}"
        )
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
    predict: Callable[[NDArray[np.uint8]], NDArray[np.integer]],
    photos: dict[str, NDArray[np.uint8]],
) -> Agreement:
    """Run a model in ONNX Runtime and compare its ids.

    Args:
        content: of the file.
        predict: returns the expected ids (H, W) of a photo (H, W, 3).
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
            raise LussError(
                f"the exported model fails on {name}: {reason}; {_NOT_WRITTEN}"
            ) from error
        equal = found == predict(photo)
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
    """Generate pictures to compare on.

    Args:
        short_side: of resized photos, in pixels; some pictures are so long that Pillow resizes
            their columns first.

    Returns:
        Name -> picture (H, W, 3) uint8 RGB.
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
    """Read up to 16 of the user's photos, evenly spaced.

    Args:
        paths: of photos and folders.

    Returns:
        Path -> photo (H, W, 3) uint8 RGB; unreadable photos are skipped with a warning.

    Raises:
        LussError: if a path does not exist, or none of the chosen photos can be read.
    """
    pictures, unreadable = {}, []
    found = find_given(paths) if paths else []
    for index in evenly_spaced(len(found), _MOST_PHOTOS) if found else []:
        path = found[index].path
        try:
            pictures[str(path)] = read_image(path, True)
        except UnreadableImageError as error:
            print_log(f"{error}; it is skipped", "current", logging.WARNING)
            unreadable.append(error)
    if unreadable and not pictures:
        raise LussError(
            f"cannot read any photo of --photos; the first error: {unreadable[0]}"
        ) from unreadable[0]
    return pictures
