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
from luss.files import atomic_write
from luss.label_generation.foreground import ForegroundSource, LazyPhoto
from luss.label_generation.foreground.normalising import LEVELS, scale_levels
from luss.label_generation.foreground.source import as_array
from luss.label_generation.map_folder import MapFolder
from luss.label_generation.step_record import StepRecord
from luss.ranks import fail_together, summed_over_ranks

__all__ = ["ForegroundMaps", "digest_of_ids", "digest_of_settings", "photos_of", "split_of"]


class ForegroundMaps:
    """A folder of maps.

    Maps that are scaled over the set are first written with 16 bits to ``<name>_raw``; the scale,
    of 65,536 levels, is that of the training photos.

    Args:
        loop: with data loaders such as ``pixels``, ``validation`` and ``report``.
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
        self.final = MapFolder(record.folder / name)
        self.raw = MapFolder(record.folder / f"{name}_raw", np.uint16)
        self.scale = f"{name}_scale.npy"

    def make(self, sources: dict[str, str], names: list[str]) -> dict[str, str]:
        """Write the missing maps of photos of data loaders.

        Args:
            sources: name -> digest of the inputs of the maps.
            names: of the data loaders, the training photos first.

        Returns:
            Name -> digest of the folder.
        """
        if not self.source.scale_of_set:
            return self._fill(self.final, sources, names, self._from_photos)
        raw = self._fill(self.raw, sources, names, self._from_photos)
        scale = self.record.ensure(self.scale, raw, self._find_scale)
        self.table = np.load(self.record.folder / self.scale)
        return self._fill(self.final, raw | scale, names, self._from_raw)

    def read(self, photo: LazyPhoto) -> NDArray[np.float32]:
        """Return the map (h, w) of a photo.

        Raises:
            LussError: if its file is missing or damaged.
        """
        return self.final.read(photo.split, photo.image_id)

    def _fill(self, folder: MapFolder, sources: dict[str, str], names: list[str], maps) -> dict:
        made = self.record.ensure(folder.root.name, sources, lambda: _empty(folder.root))
        for name in names:
            loader = self.loop.loader(name)
            split = split_of(loader)
            missing = [
                index
                for index in loader.sampler.indices
                if not folder.is_complete(split, loader.dataset.get_data_info(index)["image_id"])
            ]
            with fail_together():
                for image_id, values in maps(name, split, missing) if missing else ():
                    folder.write(split, image_id, values)
        barrier()
        return made

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

    def _from_raw(self, name: str, split: str, indices: list[int]) -> Iterator[tuple]:
        """Yield (image id, map), scaled."""
        dataset = self.loop.loader(name).dataset
        for index in indices:
            image_id = dataset.get_data_info(index)["image_id"]
            # An unreadable photo has no map.
            if self.raw.path(split, image_id).exists():
                yield image_id, self.table[self.raw.read_levels(split, image_id)]

    def _find_scale(self) -> None:
        loader = self.loop.loader("pixels")
        split = split_of(loader)
        counts = np.zeros(LEVELS, np.int64)
        with fail_together():
            for index in loader.sampler.indices:
                image_id = loader.dataset.get_data_info(index)["image_id"]
                if self.raw.path(split, image_id).exists():
                    levels = self.raw.read_levels(split, image_id)
                    counts += np.bincount(levels.ravel(), minlength=LEVELS)
        counts = summed_over_ranks(counts)
        # Only sources with a scale get here.
        assert self.source.scale_of_set is not None
        if is_main_process():
            with atomic_write(self.record.folder / self.scale) as file:
                np.save(file, scale_levels(counts, self.source.scale_of_set))


def photos_of(
    loop: StreamingLoop, name: str, what: str, indices: list[int] | None = None
) -> Iterator[LazyPhoto]:
    """Yield this process's photos of a data loader, preprocessed for the model.

    A photo's ``sample`` is the packed sample, with its size and mask.
    """
    loader = loop.loader(name)
    split = split_of(loader)
    for batch in loop.batches(loader, what, indices):
        for image, sample in zip(batch["inputs"], batch["data_samples"], strict=True):
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


def digest_of_settings(source: dict) -> str:
    """Return a digest of a source's config."""
    return hashlib.sha256(json.dumps(source, sort_keys=True, default=str).encode()).hexdigest()


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
