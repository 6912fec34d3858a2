"""Steps 2.2 to 2.4: image embeddings, categories, threshold, pseudo labels (PASS, section 4.3)."""

import logging
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_world_size, is_main_process
from mmengine.logging import print_log
from mmengine.structures import BaseDataElement
from sklearn.metrics import normalized_mutual_info_score
from torch import Tensor

from luss.engine.checkpoint import checkpoint_digest
from luss.engine.loops.foreground_maps import (
    ForegroundMaps,
    digest_of_ids,
    digest_of_settings,
    photos_of,
)
from luss.engine.loops.streaming_loop import StreamingLoop
from luss.errors import LussError, shorten
from luss.files import atomic_write, write_json
from luss.label_generation.clustering_quality import cluster_of_images, matched_accuracy
from luss.label_generation.embedding_file import write_embeddings
from luss.label_generation.feature_maps import StoredFeatures
from luss.label_generation.foreground import LazyPhoto
from luss.label_generation.foreground.source import as_array
from luss.label_generation.map_folder import MapFolder
from luss.label_generation.step_record import StepRecord
from luss.label_generation.threshold_file import Threshold, read_threshold, write_threshold
from luss.label_generation.threshold_rules import threshold_rule
from luss.ranks import fail_together, own_share, summed_over_ranks
from luss.registry import (
    EMBEDDERS,
    FOREGROUND_SOURCES,
    FUNCTIONS,
    LABEL_GENERATORS,
    LABEL_WRITERS,
    LOOPS,
)
from luss.structures import step_by_size, stored_maps

__all__ = ["LabelGenerationLoop"]

_LOADER_OF: dict[str | None, str] = {"train": "pixels", "validation": "validation"}


@LOOPS.register_module()
class LabelGenerationLoop(StreamingLoop):
    """Loop that discovers categories by clustering image embeddings, and labels every pixel.

    Each step writes its output to the folder. A step is repeated only if its output is damaged or
    stale, which is logged, and so are the steps that depend on it.

    Args:
        runner: with the trained model.
        dataloader: configs of data loaders, each with a ``ShareSampler``: ``embedding`` and
            ``pixels`` of the training photos, and ``validation`` with masks where there are any.
        evaluator: of MMEngine's test loops; nothing is evaluated.
        num_categories: C, the number of categories to discover.
        generator: config of one of ``LABEL_GENERATORS``; by default with C clusters and the seed of
            the run.
        threshold: a fixed tau, or the config of one of ``THRESHOLD_RULES``.
        matcher: config of one of ``MATCHERS``, for a threshold of the best mIoU; that by which the
            labels are evaluated.
        embedder: config of one of ``EMBEDDERS``, by default ``ImageEmbeddings``.
        foreground: config of one of ``FOREGROUND_SOURCES``, by default ``Attention``.
        writer: config of one of ``LABEL_WRITERS``, by default ``PixelLabels``.
        num_attention_maps: number of photos whose foreground the report shows, of validation if it
            has masks, else of training.

    Raises:
        LussError: if the threshold is to be found on masks and there is no data loader of any.
    """

    roles: ClassVar[Mapping[str, str]] = {
        "embeddings": "embeddings.npy",
        "clustering": "centroids.npz",
        "threshold": "threshold.json",
        "pseudo_labels": "pseudo_labels",
        "attention": "attention",
        "foreground": "foreground",
    }
    optional_roles: ClassVar[tuple[str, ...]] = ("attention", "foreground")
    noted: ClassVar[tuple[str, ...]] = ("unlabelled",)
    begun_by: ClassVar[tuple[str, ...]] = (
        "embeddings.npy",
        "centroids.npz",
        "foreground",
        "threshold.json",
        "pseudo_labels",
    )

    def __init__(
        self,
        runner,
        dataloader: dict[str, dict],
        evaluator: object = None,
        *,
        num_categories: int,
        generator: dict,
        threshold: float | dict,
        matcher: dict | None = None,
        embedder: dict | None = None,
        foreground: dict | None = None,
        writer: dict | None = None,
        num_attention_maps: int = 24,
    ) -> None:
        super().__init__(runner, dataloader)
        self.folder = Path(runner.work_dir)
        self.num_categories = num_categories
        self.embedder = EMBEDDERS.build(dict(embedder or {"type": "ImageEmbeddings"}))
        self._reads_maps = getattr(self.embedder, "reads_maps", False)
        filled = {"num_clusters": num_categories, "seed": runner.seed}
        self.generator = LABEL_GENERATORS.build({**filled, **generator})
        foreground = dict(foreground or {"type": "Attention"})
        self.foreground = FOREGROUND_SOURCES.build(foreground)
        self._source_digest = {"source's settings": digest_of_settings(foreground)}
        self.rule = threshold_rule(threshold, matcher)
        self._rule_digest = {"threshold's settings": digest_of_settings([threshold, matcher])}
        self.writer = LABEL_WRITERS.build(dict(writer or {"type": "PixelLabels"}))
        if self.rule.reads is not None and _LOADER_OF[self.rule.reads] not in dataloader:
            raise LussError(
                f"{type(self.rule).__name__} reads masks of {self.rule.reads}, of which there are "
                "none; choose OtsuThreshold, or a number"
            )
        if num_attention_maps:
            shown = dataloader.get("validation", dataloader["pixels"])
            sampler = {"type": "ShareSampler", "most": num_attention_maps}
            self.configs = {**self.configs, "report": {**shown, "sampler": sampler}}
        self.record = StepRecord(self.folder)
        self.maps = ForegroundMaps(self, self.foreground, self.record)

    @torch.no_grad()
    def run(self) -> dict:
        """Run the steps that are not complete.

        Returns:
            ``threshold``, number of ``categories``, and ids of the training photos that are
            ``unlabelled`` since they cannot be read.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.runner.call_hook("before_test")
        self.runner.model.eval()
        ensure = self.record.ensure
        dataset = self.loader("embedding").dataset
        trained = {"checkpoint": checkpoint_digest(self.weights)}
        photos = {"list of photos": digest_of_ids(dataset)}
        sources = trained | photos | self._source_digest
        read = {}
        if self._reads_maps and not self.foreground.is_free:
            read = self._make_maps(sources)
        embeddings = ensure("embeddings.npy", trained | photos | read, self._embed)
        centroids = ensure("centroids.npz", embeddings, self._cluster)
        with np.load(self.folder / "centroids.npz") as arrays:
            self.centroids = torch.from_numpy(arrays["centroids"])
        self.found["categories"] = len(self.centroids)
        maps = {}
        if not self.foreground.is_free:
            maps = self._make_maps(sources)
        chosen = ensure(
            "threshold.json", trained | centroids | maps | self._rule_digest, self._find_threshold
        )
        threshold = read_threshold(self.folder / "threshold.json")
        # `ensure` has written the file.
        assert threshold is not None
        if threshold.value is not None:
            self.found["threshold"] = threshold.value
        if self.foreground.is_free:
            self._keep_attention_maps()
        ensure("pseudo_labels", trained | centroids | maps | chosen, self._begin_pseudo_labels)
        unlabelled = self._write_pseudo_labels(threshold)
        self.runner.call_hook("after_test")
        return {
            "threshold": threshold.value,
            "categories": len(self.centroids),
            "unlabelled": unlabelled,
        }

    def _embed(self) -> None:
        loader = self.loader("embedding")
        write_embeddings(
            self.folder / "embeddings.npy",
            self._embed_batch,
            FUNCTIONS.get("pseudo_collate")([loader.dataset[0]]),
            self.batches(loader, "image embeddings"),
            len(loader.dataset),
        )

    def _embed_batch(self, batch: dict[str, list]) -> Tensor:
        """Embeddings (B, ...) of photos, which may differ in size; those of one size go together.

        Raises:
            LussError: if the embedder gives vectors of each pixel, and photos differ in size.
        """

        def embed(part: dict[str, list]) -> list[Tensor]:
            samples = self.model.data_preprocessor.cast_data(part["data_samples"])
            inputs, stored = None, stored_maps(samples)
            if "inputs" in part:
                images = torch.stack(part["inputs"])
                inputs = self.model.data_preprocessor({"inputs": [images]})["inputs"][0]
            maps = (_maps_of(samples),) if self._reads_maps else ()
            model = self.model if stored is None else StoredFeatures(stored)
            return list(self.embedder.embed(model, inputs, *maps))

        embeddings = step_by_size(embed, batch)
        if len({embedding.shape for embedding in embeddings}) > 1:
            raise LussError(
                f"{type(self.embedder).__name__} embeds every pixel, so photos must be of one "
                "size; end the pipeline of 'embedding' with CenterCrop"
            )
        return torch.stack(list(embeddings))

    def _cluster(self) -> None:
        """Write centroids and assignments; log how well they fit the class folders, if any."""
        embeddings = np.load(self.folder / "embeddings.npy", mmap_mode="r")
        # Every rank clusters its share where the generator can; else one clusters all.
        if sharded := get_world_size() > 1 and getattr(self.generator, "can_shard", False):
            share = own_share(len(embeddings))
            embeddings = embeddings[share.start : share.stop]
        elif not is_main_process():
            return
        # A view: vectors of pixels are clustered as those of images.
        vectors = embeddings.reshape(-1, embeddings.shape[-1])
        result = self.generator.fit(vectors, sharded=sharded)
        assignments = cluster_of_images(result.assignments.reshape(embeddings.shape[:-1]))
        if sharded:
            assignments = np.concatenate(all_gather_object(assignments))
        if is_main_process():
            with atomic_write(self.folder / "centroids.npz") as file:
                np.savez(
                    file,
                    centroids=result.centroids,
                    assignments=assignments,
                    objective=result.objective,
                )
            self._compare_with_folders(assignments)

    def _compare_with_folders(self, assignments: np.ndarray) -> None:
        dataset = self.loader("embedding").dataset
        if "category" not in dataset.get_data_info(0):
            return
        labels = [dataset.get_data_info(index)["category"] for index in range(len(dataset))]
        quality = {
            "NMI": 100 * normalized_mutual_info_score(labels, assignments),
            "matched accuracy": 100 * matched_accuracy(assignments, labels),
        }
        write_json(self.folder / "clustering_quality.json", quality)
        listed = ", ".join(f"{name} {value:.1f} %" for name, value in quality.items())
        print_log(f"clusters compared with class folders: {listed}", "current")

    def _make_maps(self, sources: dict[str, str]) -> dict[str, str]:
        wanted = ("pixels", _LOADER_OF.get(self.rule.reads), "report")
        names = [name for name in dict.fromkeys(wanted) if name in self.configs]
        return self.maps.make(sources, names)

    def _evidence(
        self, name: str, what: str, indices: list[int] | None = None
    ) -> Iterator[tuple[LazyPhoto, Tensor, Tensor]]:
        """Yield (photo, ids (H, W), foreground (H, W)) of this rank's photos."""
        for photo in photos_of(self, name, what, indices):
            source = self.foreground if self.foreground.is_free else self.maps.read
            assert photo.sample is not None
            features = photo.features
            foreground = torch.as_tensor(source(photo), device=features.device)
            ids, foreground = self.writer.evidence(
                features, foreground[None, None], self.centroids, photo.sample.ori_shape[:2]
            )
            yield photo, ids[0], foreground[0]

    def _find_threshold(self) -> None:
        counter = None
        if self.rule.reads is not None:
            name = _LOADER_OF[self.rule.reads]
            with fail_together():
                for photo, ids, foreground in self._evidence(name, "threshold"):
                    counter = self._new_counter(name) if counter is None else counter
                    truth = None
                    assert photo.sample is not None
                    if "gt_sem_seg" in photo.sample:
                        truth = photo.sample.gt_sem_seg.data[0].cpu().numpy()
                    counter.add(foreground.cpu().numpy(), ids.cpu().numpy(), truth)
            counter = summed_over_ranks(counter)
        threshold = self.rule.choose(counter)
        if is_main_process():
            write_threshold(self.folder / "threshold.json", threshold)
        shown = threshold if threshold.value is None else f"{threshold.value:.2f}"
        print_log(f"threshold {shown} ({threshold.method})", "current")

    def _new_counter(self, name: str):
        steps = range(round(100 * self.foreground.largest_threshold) + 1)
        classes = self.loader(name).dataset.metainfo.get("classes", ("other",))
        return self.rule.counter(
            tuple(step / 100 for step in steps), self.num_categories, len(classes) - 1
        )

    def _keep_attention_maps(self) -> None:
        """Write the foreground of the report's photos, as 8-bit grey."""
        if "report" not in self.configs:
            return
        folder = MapFolder(self.folder / "attention")
        for photo, _, foreground in self._evidence("report", "attention maps"):
            # Resizing rounds, also beyond 1.
            folder.write(photo.split, photo.image_id, as_array(foreground).clip(0, 1))

    def _begin_pseudo_labels(self) -> None:
        """Recreate the folder, deleting stale labels."""
        if is_main_process():
            root = self.folder / "pseudo_labels"
            shutil.rmtree(root, ignore_errors=True)
            root.mkdir()

    def _write_pseudo_labels(self, threshold: Threshold) -> list[str]:
        """Label the photos without an intact label; return the ids of unreadable photos."""
        root, loader = self.folder / "pseudo_labels", self.loader("pixels")
        image_ids = {
            index: loader.dataset.get_data_info(index)["image_id"]
            for index in loader.sampler.indices
        }
        missing = [
            index for index, name in image_ids.items() if not self.writer.is_complete(root, name)
        ]
        self._name_damaged([self.writer.path(root, image_ids[index]) for index in missing])
        unreadable = []
        with fail_together():
            evidence = self._evidence("pixels", "pseudo labels", missing)
            for index, (photo, ids, foreground) in zip(missing, evidence, strict=True):
                # The data set replaces unreadable photos by others.
                if photo.image_id != image_ids[index]:
                    unreadable.append(image_ids[index])
                    continue
                value = self.rule.of_image(as_array(foreground), threshold)
                labels = self.writer.label(ids, foreground, value)
                self.writer.write(root, photo.image_id, labels.cpu().numpy())
        return [image_id for part in all_gather_object(unreadable) for image_id in part]

    @staticmethod
    def _name_damaged(missing: list[Path]) -> None:
        damaged = [str(path) for path in missing if path.exists()]
        if damaged:
            print_log(
                f"{len(damaged)} pseudo labels are damaged and are computed again: "
                f"{shorten(damaged)}",
                "current",
                level=logging.WARNING,
            )


def _maps_of(samples: list[BaseDataElement]) -> Tensor:
    """Return foreground maps (N, 1, H, W) float32 in [0, 1] of images, from their samples."""
    for sample in samples:
        size = tuple(sample.img_shape[:2])
        if "gt_sem_seg" not in sample or tuple(sample.gt_sem_seg.data.shape[1:]) != size:
            raise LussError(
                f"the photo {sample.image_id} has no foreground map of its size; add "
                "LoadForegroundAsMask to the pipeline of test_dataloader.embedding, after "
                "ResizeShortSide and before CenterCrop"
            )
    maps = torch.stack([sample.gt_sem_seg.data for sample in samples])
    return maps.float() / 255
