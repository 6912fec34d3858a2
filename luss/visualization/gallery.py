"""Report section of photos with prediction, truth, foreground map and features."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from luss.datasets.feature_files import FeatureFolder
from luss.errors import LussError
from luss.registry import REPORT_SECTIONS
from luss.visualization.feature_colours import FeatureColours
from luss.visualization.markup import render
from luss.visualization.overlay import attention_picture
from luss.visualization.photo_rows import Chip, Drawing, coloured_mask, key_of, photo_row
from luss.visualization.run_files import RunFiles
from luss.visualization.sections import Section, require_positive

__all__ = ["evenly_spaced", "gallery"]

_LONGEST_SIDE = 320


def evenly_spaced(count: int, most: int) -> NDArray[np.int64]:
    """Return at most ``most`` of the indices 0..count-1, evenly spaced from first to last."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)


@REPORT_SECTIONS.register_module()
def gallery(run: RunFiles, max_photos: int = 60) -> Section:
    """Return photos of the split with true masks, predictions, foreground maps and features.

    The first three principal components of stored features, over the shown photos, are red, green
    and blue.

    Args:
        run: files of the run.
        max_photos: largest number of photos, evenly spaced. If some photos have a foreground map,
            only those are shown.
    """
    require_positive(max_photos=max_photos)
    predictions, other_source = _folder(run, "predictions"), _folder(run, "foreground")
    maps = other_source or _folder(run, "attention")
    map_name = "foreground" if other_source else "mean attention"
    threshold = None if run.threshold is None else run.threshold.value
    dataset = run.gallery_dataset
    ids = [dataset.get_data_info(index)["image_id"] for index in range(len(dataset))]
    mapped = {path.relative_to(maps).with_suffix("").as_posix()
              for path in maps.rglob("*.png")} if maps else set()  # fmt: skip
    shown = [index for index, image_id in enumerate(ids) if image_id in mapped or not mapped]
    items = [dataset.get_data_info(shown[place]) for place in evenly_spaced(len(shown), max_photos)]
    has_truth = any(item.get("seg_map_path") for item in items)
    pictures = run.pictures("gallery")
    features, colours = _features(_folder(run, "features"), items)
    rows = []
    for item in items:
        file = f"{item['image_id']}.png"
        made: dict[str, Drawing] = {}
        if predictions:
            made["prediction"] = coloured_mask({"seg_map_path": predictions / file}, run.generated)
        if has_truth:
            made["truth"] = coloured_mask(item, run.true)
        if maps:
            made[map_name] = _map_drawing(maps / file, threshold)
        if features:
            made["features"] = _feature_drawing(features, colours, item["image_id"])
        rows.append(photo_row(item, _LONGEST_SIDE, made, pictures))
    key = key_of(bool(predictions) or has_truth, run.true if has_truth else None)
    if predictions and run.generated.unmatched:
        swatch = run.generated.swatch(min(run.generated.unmatched))
        key.append(Chip("unmatched category", swatch))
    content = render(
        "gallery",
        rows=rows,
        available=len(shown),
        has_maps=bool(mapped),
        without_photo=len(mapped) - len(shown) if mapped else 0,
        predictions="/".join(predictions.parts[-3:]) if predictions else None,
        has_truth=has_truth,
        matched=run.match is not None,
        key=key,
        map_name=map_name if maps else None,
        threshold=threshold,
        has_features=features is not None,
        columns=1 + bool(predictions) + has_truth + bool(maps) + (features is not None),
    )
    return Section(f"Photos of {run.gallery_split}", content)


def _folder(run: RunFiles, role: str) -> Path | None:
    """Return the folder of an output for the split; None if it is missing."""
    path = run.outputs.get(role)
    return path / run.gallery_split if path and (path / run.gallery_split).is_dir() else None


def _features(
    folder: Path | None, items: Sequence[Mapping[str, Any]]
) -> tuple[FeatureFolder | None, FeatureColours | None]:
    """Return the stored features, and their colours if some photos have any."""
    if folder is None:
        return None, None
    features, found = FeatureFolder(folder), []
    for item in items:
        # The picture of the photo shows the error.
        with contextlib.suppress(LussError):
            found.append(features.read(item["image_id"]).maps)
    return features, FeatureColours(found) if found else None


def _feature_drawing(
    features: FeatureFolder, colours: FeatureColours | None, image_id: str
) -> Drawing:
    def make(photo: NDArray[np.uint8], full: tuple[int, int]) -> tuple[NDArray, list[Chip]]:
        maps = features.read(image_id).maps
        assert colours is not None, "colours exist if the features of any photo can be read"
        return colours.picture(maps, photo.shape[:2]), []

    return make


def _map_drawing(path: Path, threshold: float | None) -> Drawing:
    def make(photo: NDArray[np.uint8], full: tuple[int, int]) -> tuple[NDArray, list[Chip]]:
        return attention_picture(_attention(path, photo.shape[:2]), threshold), []

    return make


def _attention(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            if image.mode != "L":
                raise LussError(f"{path} has the mode {image.mode}. Expected 8-bit grey")
            return np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR))
    except OSError as error:
        raise LussError(f"cannot read the foreground map {path}: {error}") from error
