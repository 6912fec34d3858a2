"""Foreground maps of a run: computed once, by all processes, and kept on disk."""

import copy
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from mmengine.dist import barrier, is_main_process
from numpy.typing import NDArray

from luss.engine.loops.streaming_loop import PhotoSet, ShareLoader, StreamingLoop
from luss.label_generation.foreground import ForegroundSource, LazyPhoto
from luss.label_generation.foreground.source import as_array
from luss.label_generation.map_folder import MapFolder
from luss.label_generation.step_record import StepRecord
from luss.ranks import fail_together

__all__ = ["ForegroundMaps", "digest_of_ids", "digest_of_settings", "photos_of", "split_of"]


class ForegroundMaps:
    """A folder of maps.

    Args:
        loop: with data loaders.
        source: of the maps.
        record: of outputs and their inputs.
        name: of the folder.
    """

    def __init__(
        self,
        loop: StreamingLoop,
        source: ForegroundSource,
        record: StepRecord,
        name: str = "foreground",
    ) -> None:
        self.loop = loop
        self.source = source
        self.record = record
        self.folder = MapFolder(record.folder / name)

    def make(self, sources: dict[str, str], names: list[str]) -> dict[str, str]:
        """Write the missing maps of photos of data loaders.

        Args:
            sources: name -> digest of the inputs of the maps.
            names: of the data loaders, the training photos first.

        Returns:
            Name -> digest of the folder.
        """
        root = self.folder.root
        made = self.record.ensure(root.name, sources, lambda: _empty(root))
        for name in names:
            loader = self.loop.loader(name)
            split = split_of(loader)
            missing = [
                index
                for index in loader.sampler.indices
                if not self.folder.is_complete(
                    split, loader.dataset.get_data_info(index)["image_id"]
                )
            ]
            with fail_together():
                for image_id, values in self._from_photos(name, split, missing) if missing else ():
                    self.folder.write(split, image_id, values)
        barrier()
        return made

    def read(self, photo: LazyPhoto) -> NDArray[np.float32]:
        """Return the map (h, w) of a photo.

        Raises:
            LussError: if its file is missing or damaged.
        """
        return self.folder.read(photo.split, photo.image_id)

    def _from_photos(self, name: str, split: str, indices: list[int]) -> Iterator[tuple]:
        """Yield (image id, map), by the source."""
        what = f"foreground maps of {split}"
        if self.source.needs_model:
            for photo in photos_of(self.loop, name, what, indices):
                yield photo.image_id, as_array(self.source(photo))
            return
        for batch in self.loop.batches(self._photo_loader(name, split), what, indices):
            yield from zip(batch["image_id"], batch["map"], strict=True)

    def _photo_loader(self, name: str, split: str) -> ShareLoader:
        """Return a data loader whose processes compute the maps."""
        config = copy.deepcopy(self.loop.configs[name])
        config["dataset"]["pipeline"] = [
            {"type": "MakeForegroundMap", "source": self.source, "split": split}
        ]
        return self.loop.build_loader(config)


def photos_of(
    loop: StreamingLoop, name: str, what: str, indices: list[int] | None = None
) -> Iterator[LazyPhoto]:
    """Yield this process's photos of a data loader, preprocessed for the model.

    A photo's ``sample`` is the packed sample, with its size, mask and stored features. A pipeline
    that loads features instead of images gives photos without ``inputs``.
    """
    loader = loop.loader(name)
    split = split_of(loader)
    for batch in loop.batches(loader, what, indices):
        samples = loop.model.data_preprocessor.cast_data(batch["data_samples"])
        images = batch.get("inputs", [None] * len(samples))
        for image, sample in zip(images, samples, strict=True):
            inputs = None
            if image is not None:
                inputs = loop.model.data_preprocessor({"inputs": [image[None]]})["inputs"][0]
            yield LazyPhoto(
                sample.image_id,
                sample.img_path,
                split,
                sample.get("upright", False),
                inputs,
                loop.model,
                sample,
            )


def split_of(loader: ShareLoader) -> str:
    """Return the split of a loader's data set; 'train' for a data set without splits."""
    return getattr(loader.dataset, "split", "train")


def digest_of_settings(settings: object) -> str:
    """Return a digest of a configuration."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()


def digest_of_ids(dataset: PhotoSet) -> str:
    """Return a digest of the ids of a data set's photos."""
    digest = hashlib.sha256()
    for index in range(len(dataset)):
        digest.update(dataset.get_data_info(index)["image_id"].encode() + b"\0")
    return digest.hexdigest()


def _empty(folder: Path) -> None:
    """Recreate a folder, deleting stale maps."""
    if is_main_process():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
