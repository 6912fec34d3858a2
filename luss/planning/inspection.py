"""Check of all photos and masks of a folder, without training."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset

from luss.datasets.class_names import require_masks_for
from luss.datasets.image_io import (
    TooLargeImageError,
    UnreadableImageError,
    image_header,
    read_image,
)
from luss.datasets.mask_check import check_masks, mask_doubts
from luss.datasets.photo_check import DeepPhotos, doubt_of_copies, doubt_of_empty, identical_photos
from luss.engine.progress import Progress
from luss.errors import LussError, shorten
from luss.planning.schedule import fitting_batch, full_schedule, trained_stages
from luss.planning.settings import Backbone, choose_foreground, settings_for
from luss.planning.survey import Survey, survey

__all__ = ["Inspection", "inspect_photos"]


@dataclass
class Inspection:
    """Result of a check.

    Attributes:
        lines: about the photos, and what ``luss train`` would do.
        warnings: about files that can be read but may be wrong.
        problems: about files that must be fixed.
    """

    lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def inspect_photos(
    root: str,
    categories: int | None = None,
    data: dict[str, Any] | None = None,
    backbone: Backbone | None = None,
    finetune: bool = True,
) -> Inspection:
    """Read every photo and every mask of a folder.

    Args:
        root: the folder.
        categories: number to find, or None.
        data: settings of the data set, such as ``type``.
        backbone: a pretrained one, as for ``luss train``.
        finetune: whether ``luss train`` would train a segmentor.

    Raises:
        LussError: as :func:`luss.planning.survey.survey`, or if there is no such backbone or file.
    """
    found = survey(root, data)
    result = Inspection([f"{found.root} is read as {found.kind}; {found.summary()}"])
    datasets = found.datasets
    deep = DeepPhotos()
    for split, dataset in datasets.items():
        if unreadable := _unreadable(dataset, split, deep):
            effect = "training skips them" if split == "train" else "evaluation needs them"
            photos = "photo" if len(unreadable) == 1 else "photos"
            result.problems.append(
                f"{len(unreadable)} {photos} of {split} cannot be read ({effect}):\n- "
                + shorten(unreadable, separator="\n- ")
            )
        if split in found.description.measured:
            _check_masks(dataset, split, result)
    paths = (item["img_path"] for dataset in datasets.values() for item in _items(dataset))
    doubts = [deep.doubt(), doubt_of_copies(identical_photos(paths))]
    if found.description.has_categories and found.description.classes is not None:
        doubts.append(doubt_of_empty(datasets["train"], found.description.classes))
    result.warnings += [doubt for doubt in doubts if doubt]
    _describe_training(found, categories, backbone, finetune, result)
    return result


def _items(dataset: BaseDataset) -> Iterator[dict[str, Any]]:
    return map(dataset.get_data_info, range(len(dataset)))


def _unreadable(dataset: BaseDataset, split: str, deep: DeepPhotos) -> list[str]:
    """Return an error message for each photo that cannot be read."""
    unreadable = []
    progress = Progress(len(dataset), f"reading the photos of {split}")
    for item in _items(dataset):
        path = item["img_path"]
        try:
            pixels = read_image(path, upright=item.get("upright", False))
            if image_header(path).deep:
                deep.add(path, pixels)
        except (UnreadableImageError, TooLargeImageError) as error:
            unreadable.append(str(error))
        progress.advance(1)
    return unreadable


def _check_masks(dataset: BaseDataset, split: str, result: Inspection) -> None:
    try:
        masks = Path(getattr(dataset, "masks", dataset.data_root))
        require_masks_for(list(_items(dataset)), masks, split)
        progress = Progress(len(dataset), f"checking the masks of {split}")
        tally = check_masks(dataset, progress.advance)
    except LussError as error:
        result.problems.append(f"{split}: {error}")
        return
    doubts = mask_doubts(dataset, tally)
    result.warnings += [f"{split}: {doubt}" for doubt in doubts]
    state = "can be read, but see the warnings" if doubts else "are sound"
    result.lines.append(
        f"{split}: {len(dataset)} photos, all masks {state}; {tally.ignored_share:.1%} of the "
        "pixels are ignored"
    )


def _describe_training(
    found: Survey,
    categories: int | None,
    backbone: Backbone | None,
    finetune: bool,
    result: Inspection,
) -> None:
    try:
        number = found.num_categories(categories)
    except LussError as error:
        # A missing number is a choice to make, not a problem of the photos.
        (result.lines if categories is None else result.problems).append(str(error))
        return
    if not finetune and backbone is not None:
        result.lines.append(
            f"luss train {found.root} --categories {number} would train nothing, and segment by "
            f"the nearest of {number} centroids of the features of {backbone.name}"
        )
        return
    foreground = choose_foreground(None, backbone is not None)
    config = settings_for(foreground, {}, backbone)
    trained = {name: config.stages[name] for name in trained_stages(config)}
    full = full_schedule({n: it.train_cfg.max_epochs for n, it in trained.items()}, found.photos)
    first, stage = next(iter(trained.items()))
    batch = fitting_batch(found.photos, stage.train_dataloader.batch_size, first)
    network = "a small ResNet-18 (PASS_s)"
    if backbone is not None:
        network = f"a linear classifier on the features of {backbone.name}"
        network = f"{backbone.name} and {network}" if backbone.tuned else network
    epochs = ", ".join(f"{name} {count}" for name, count in full.items())
    result.lines.append(
        f"luss train {found.root} --categories {number} would train {network} in "
        f"batches of {batch}, with --foreground {foreground}. Epochs: {epochs}, or fewer to finish "
        "within --minutes; a dry run first measures the time"
    )
