"""All photos and masks of a folder, read once, without training."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mmengine.dataset import BaseDataset

from luss.datasets.image_io import (
    TooLargeImageError,
    UnreadableImageError,
    image_header,
    read_image,
)
from luss.datasets.mask_check import check_masks, mask_doubts
from luss.datasets.photo_check import DeepPhotos, doubt_of_copies, doubt_of_empty, identical_photos
from luss.datasets.photo_listing import shown
from luss.engine.progress import Progress
from luss.errors import LussError
from luss.planning.schedule import TRAINED, fitting_batch, full_schedule
from luss.planning.settings import choose_foreground, settings_for
from luss.planning.survey import Survey, split_of_data, survey

__all__ = ["Inspection", "inspect_photos"]


@dataclass
class Inspection:
    """What was found.

    Attributes:
        said: lines on the photos, and on what ``luss train`` would do.
        doubts: lines on what can be read, but may be wrong.
        problems: lines on what is to be mended.
    """

    said: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def inspect_photos(
    root: str, categories: int | None = None, data: dict[str, Any] | None = None
) -> Inspection:
    """Read every photo and every mask of a folder.

    Args:
        root: the folder.
        categories: that are to be found, or None.
        data: settings of the data set, such as ``type``.

    Raises:
        LussError: as :func:`luss.planning.survey.survey`.
    """
    found = survey(root, data)
    seen = Inspection([f"{found.root} is read as {found.kind}; {found.said()}"])
    datasets = {split: split_of_data(found.settings, split) for split in found.counts}
    deep = DeepPhotos()
    for split, dataset in datasets.items():
        if unreadable := _unreadable(dataset, split, deep):
            left_out = "training leaves them out" if split == "train" else "evaluation needs them"
            photos = "photo" if len(unreadable) == 1 else "photos"
            seen.problems.append(
                f"{len(unreadable)} {photos} of {split} cannot be read ({left_out}; replace or "
                f"remove them): {shown(unreadable)}"
            )
        if split in found.description.measured:
            _look_at_masks(found, split, seen)
    paths = (item["img_path"] for dataset in datasets.values() for item in _items(dataset))
    doubts = [deep.doubt(), doubt_of_copies(identical_photos(paths))]
    if found.description.has_categories:
        doubts.append(doubt_of_empty(datasets["train"], found.description.classes))
    seen.doubts += [doubt for doubt in doubts if doubt]
    _say_what_training_does(found, categories, seen)
    return seen


def _items(dataset: BaseDataset) -> Iterator[dict[str, Any]]:
    return map(dataset.get_data_info, range(len(dataset)))


def _unreadable(dataset: BaseDataset, split: str, deep: DeepPhotos) -> list[str]:
    bad = []
    progress = Progress(len(dataset), f"reading the photos of {split}")
    for item in _items(dataset):
        path = item["img_path"]
        try:
            pixels = read_image(path, upright=item.get("upright", False))
            if image_header(path).deep:
                deep.add(path, pixels)
        except (UnreadableImageError, TooLargeImageError):
            bad.append(item["img_path"])
        progress.advance(1)
    return bad


def _look_at_masks(found: Survey, split: str, seen: Inspection) -> None:
    try:
        dataset = split_of_data({**found.settings, "require_masks": True}, split)
        progress = Progress(len(dataset), f"checking the masks of {split}")
        tally = check_masks(dataset, progress.advance)
    except LussError as error:
        seen.problems.append(f"{split}: {error}")
        return
    doubts = mask_doubts(dataset, tally)
    seen.doubts += [f"{split}: {doubt}" for doubt in doubts]
    sound = "can be read, but see the warnings" if doubts else "are sound"
    seen.said.append(
        f"{split}: {len(dataset)} photos, and all of their masks {sound}; "
        f"{tally.ignored_share:.1%} of their pixels are ignored"
    )


def _say_what_training_does(found: Survey, categories: int | None, seen: Inspection) -> None:
    try:
        number = found.num_categories(categories)
    except LussError as error:
        # Without a number there is a choice to make, but nothing wrong.
        (seen.said if categories is None else seen.problems).append(str(error))
        return
    foreground = choose_foreground(None)
    stages = settings_for(foreground, {}).stages
    full = full_schedule({n: stages[n].train_cfg.max_epochs for n in TRAINED}, found.photos)
    batch = fitting_batch(found.photos, stages.pretrain.train_dataloader.batch_size)
    epochs = ", ".join(f"{name} {count}" for name, count in full.items())
    seen.said.append(
        f"luss train {found.root} --categories {number} would train a small ResNet-18 (PASS_s) in "
        f"batches of {batch}, with the foreground {foreground!r}, for up to these epochs, fewer "
        f"if --minutes ends them: {epochs}; it rehearses first and says how long it will take"
    )
