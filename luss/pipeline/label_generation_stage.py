"""Steps 2.2 to 2.4: image embeddings, categories, threshold, pseudo labels (section 4.3)."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import torch
from mmengine.dist import all_gather_object, barrier, get_world_size, is_main_process
from mmengine.logging import print_log

from luss.config_checks import require_count, require_keys
from luss.engine.checkpoint import checkpoint_digest, required_checkpoint
from luss.errors import LussError
from luss.evaluation.otsu import AttentionHistogram, between_class_variance, otsu_threshold
from luss.evaluation.threshold_search import ThresholdSearch
from luss.files import atomic_write, write_json
from luss.label_generation import (
    KMeansResult,
    TorchKMeans,
    apply_threshold,
    is_whole_png,
    matched_accuracy,
    normalised_mutual_information,
    pixel_evidence,
    write_pseudo_label,
)
from luss.pipeline.context import Context
from luss.pipeline.embedding_file import write_embeddings
from luss.pipeline.inference import load_model, own_share, stream, summed_over_ranks
from luss.pipeline.sound_masks import require_sound_masks
from luss.pipeline.stage import Stage
from luss.pipeline.step_record import StepRecord
from luss.pipeline.work_dir import main_process_decides
from luss.ranks import fail_together
from luss.registry import LABEL_GENERATORS, MODELS, STAGES
from luss.structures.batches import of_one_size
from luss.visualization.sources import read_threshold

__all__ = ["LabelGenerationStage"]

_OUTPUTS = ("embeddings.npy", "centroids.npz", "threshold.json", "pseudo_labels")
_MOST_NAMES = 10
_WARNING = 30


@STAGES.register_module()
class LabelGenerationStage(Stage):
    """Discovers categories among image embeddings and labels every pixel with one, or 'other'.

    Each step keeps its output and is not repeated on resuming, unless a file is damaged, or was
    made from something else than what is there now: it is named and made anew, and so is what
    depends on it.

    Args:
        name: see :class:`Stage`.
        model_from: the stage that trained pixel attention.
        generator: config of one of ``LABEL_GENERATORS``; number of clusters and seed are filled
            in.
        embedding: ``pipeline`` and ``batch_size`` for image embeddings.
        pixels: ``pipeline`` for pixel labels, image by image, with an optional ``LoadMask``.
        preprocessor: config of the data preprocessor of both.
        threshold: a fixed tau, or None to find it: by mIoU on validation masks where there are
            any, else by Otsu's criterion on the training images.
        num_attention_maps: how many attention maps to keep for the report.
        on_unreadable: what becomes of a training image that cannot be read: ``'fail'`` raises,
            ``'skip'`` leaves it without a label. Validation always fails.
    """

    settings: ClassVar[tuple[str, ...]] = ("seed", "data", "num_categories")

    def __init__(
        self,
        name: str,
        generator: dict,
        embedding: dict,
        pixels: dict,
        preprocessor: dict,
        model_from: str = "pixel_attention",
        threshold: float | None = None,
        num_attention_maps: int = 24,
        on_unreadable: str = "skip",
    ) -> None:
        super().__init__(name, requires=(model_from,))
        require_keys(embedding, ("pipeline", "batch_size"), f"stages.{name}.embedding")
        require_count(embedding["batch_size"], f"stages.{name}.embedding.batch_size")
        require_keys(pixels, ("pipeline",), f"stages.{name}.pixels")
        self.model_from = model_from
        self.generator = generator
        self.embedding = embedding
        self.pixels = pixels
        self.preprocessor = preprocessor
        self.threshold = threshold
        self.num_attention_maps = num_attention_maps
        self.on_unreadable = on_unreadable

    def has_partial_output(self, folder: Path) -> bool:
        """Whether any step is whole, or pseudo labels were begun."""
        return any((folder / output).exists() for output in _OUTPUTS)

    def check(self, context: Context) -> None:
        """Build the data set and the generator.

        Raises:
            LussError: if there are fewer images than categories, or the threshold is none.
        """
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise LussError(f"threshold is {self.threshold}, expected a number in 0..1, or None")
        self._training_set(context, self.pixels["pipeline"])
        count = len(self._training_set(context, self.embedding["pipeline"]))
        if count < context.num_categories:
            raise LussError(
                f"{count} images cannot form {context.num_categories} categories; add images or "
                "lower num_categories"
            )
        self._build_generator(context)
        MODELS.build(dict(self.preprocessor))
        if self.threshold is None and "validation" in context.splits_with_masks:
            require_sound_masks(context, "validation")

    def _training_set(self, context: Context, pipeline: list[dict]):
        return context.dataset(
            {"split": "train", "pipeline": pipeline, "on_unreadable": self.on_unreadable}
        )

    def _build_generator(self, context: Context):
        filled = {"num_clusters": context.num_categories, "seed": context.seed}
        return LABEL_GENERATORS.build({**filled, **self.generator})

    def run(self, context: Context) -> dict:
        """Run the steps that are not whole yet."""
        self.context = context
        self.folder = context.work_dir.stage(self.name)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.record = StepRecord(self.folder)
        checkpoint = required_checkpoint(context.work_dir.stage(self.model_from))
        # Built as the stage that trained it had it.
        model = context.config["stages"][self.model_from]["model"]
        self.model = load_model(model, checkpoint, context.device)
        self.normalize = MODELS.build(dict(self.preprocessor)).to(context.device)

        dataset = self._training_set(context, self.embedding["pipeline"])
        trained = {"checkpoint": checkpoint_digest(checkpoint)}
        photos = {"list of photos": _digest_of_ids(dataset)}
        embeddings = self._step("embeddings.npy", trained | photos, self._embed, dataset)
        centroids = self._step("centroids.npz", embeddings, self._cluster, dataset)
        with np.load(self.folder / "centroids.npz") as arrays:
            self.centroids = torch.from_numpy(arrays["centroids"]).to(context.device)
        chosen = self._step("threshold.json", trained | centroids, self._find_threshold)
        threshold = read_threshold(self.folder / "threshold.json").value
        self._keep_attention_maps()
        self._step("pseudo_labels", trained | centroids | chosen, self._begin_pseudo_labels)
        unlabelled = self._write_pseudo_labels(threshold)
        return {
            "threshold": threshold,
            "categories": len(self.centroids),
            "unlabelled": unlabelled,
        }

    def _step(self, output: str, sources: dict[str, str], make, *args) -> dict[str, str]:
        """Make an output, unless it is whole and made from the same; return its digest by name."""
        fault = self.record.fault(output, sources) if is_main_process() else None
        if fault := main_process_decides(fault):
            path = self.folder / output
            if path.exists():
                print_log(f"{path} {fault}: it is made anew", "current", level=_WARNING)
            # Ranks must look before any of them writes.
            barrier()
            make(*args)
            barrier()
            if is_main_process():
                self.record.note(output, sources)
        digest = self.record.digest(output) if is_main_process() else None
        return {output: main_process_decides(digest)}

    def _prepare(self, batch: list[dict]) -> torch.Tensor:
        images = torch.stack([item["inputs"] for item in batch])
        return self.normalize({"inputs": [images]})["inputs"][0]

    def _embed(self, dataset) -> None:
        write_embeddings(
            self.folder / "embeddings.npy",
            self._embed_batch,
            dataset,
            self.embedding["batch_size"],
            self.context.num_workers,
        )

    def _embed_batch(self, batch: list[dict]) -> torch.Tensor:
        """Embeddings (B, L) of packed items, whose photos may differ in size."""
        numbered = [{**item, "row": row} for row, item in enumerate(batch)]
        rows, parts = [], []
        for group in of_one_size(numbered):
            rows += [item["row"] for item in group]
            parts.append(self.model.embed_images(self._prepare(group)))
        return torch.cat(parts)[torch.tensor(rows).argsort()]

    def _cluster(self, dataset) -> None:
        """Write centroids and assignments; say how well they fit the folders, if there are any."""
        embeddings = np.load(self.folder / "embeddings.npy", mmap_mode="r")
        generator = self._build_generator(self.context)
        # Every rank clusters its share where the generator can; else one clusters all.
        if sharded := get_world_size() > 1 and isinstance(generator, TorchKMeans):
            share = own_share(len(embeddings))
            embeddings = embeddings[share.start : share.stop]
        elif not is_main_process():
            return
        result = generator.fit(embeddings, sharded=sharded)
        assignments = result.assignments
        if sharded:
            assignments = np.concatenate(all_gather_object(assignments))
        if is_main_process():
            self._write_clusters(dataset, result, assignments)

    def _write_clusters(self, dataset, result: KMeansResult, assignments: np.ndarray) -> None:
        with atomic_write(self.folder / "centroids.npz") as file:
            np.savez(
                file,
                centroids=result.centroids,
                assignments=assignments,
                objective=result.objective,
            )
        if self.context.description.has_categories:
            labels = [dataset.get_data_info(index)["category"] for index in range(len(dataset))]
            quality = {
                "NMI": 100 * normalised_mutual_information(assignments, labels),
                "matched accuracy": 100 * matched_accuracy(assignments, labels),
            }
            write_json(self.folder / "clustering_quality.json", quality)
            print_log(f"clusters against class folders: {_percent(quality)}", "current")

    def _evidence(self, split: str, what: str, indices=None) -> Iterator[tuple]:
        """Yield (item, ids (H, W) tensor, attention (H, W) tensor) of this rank's images."""
        pipeline = self.pixels["pipeline"]
        if split == "train":
            dataset = self._training_set(self.context, pipeline)
        else:
            dataset = self.context.dataset(
                {"split": split, "pipeline": pipeline, "require_masks": True}
            )
        if indices is None:
            indices = own_share(len(dataset))
        for (item,) in stream(dataset, indices, 1, self.context.num_workers, what):
            with torch.no_grad():
                features = self.model.extract(self._prepare([item]))
                size = item["data_samples"].ori_shape[:2]
                attention = self.model.attention.mean_attention(features)
                ids, attention = pixel_evidence(features, attention, self.centroids, size)
            yield item["data_samples"], ids[0], attention[0]

    def _find_threshold(self) -> None:
        if self.threshold is not None:
            found = {"threshold": self.threshold, "method": "given", "curve": None}
        elif "validation" in self.context.splits_with_masks:
            found = self._threshold_by_validation()
        else:
            found = self._threshold_by_otsu()
        if is_main_process():
            write_json(self.folder / "threshold.json", found)
        print_log(f"threshold {found['threshold']:.2f} ({found['method']})", "current")

    def _threshold_by_validation(self) -> dict:
        categories = self.context.num_categories
        search = None
        with fail_together():
            for sample, ids, attention in self._evidence("validation", "threshold"):
                truth = sample.gt_sem_seg.data[0].numpy()
                if search is None:
                    search = ThresholdSearch(self.context.num_true_classes, categories)
                search.add(attention.cpu().numpy(), ids.cpu().numpy(), truth)
        curve = summed_over_ranks(search).curve()
        return {
            "threshold": curve.threshold,
            "method": "validation mIoU",
            "curve": {
                "name": "mIoU, %",
                "thresholds": curve.thresholds.tolist(),
                "values": (100 * curve.miou).tolist(),
            },
        }

    def _threshold_by_otsu(self) -> dict:
        histogram = AttentionHistogram()
        with fail_together():
            for _, _, attention in self._evidence("train", "threshold"):
                histogram.add(attention.cpu().numpy())
        histogram = summed_over_ranks(histogram)
        return {
            "threshold": otsu_threshold(histogram),
            "method": "Otsu",
            "curve": {
                "name": "between-class variance",
                "thresholds": list(histogram.thresholds),
                "values": between_class_variance(histogram).tolist(),
            },
        }

    def _keep_attention_maps(self) -> None:
        """Write the mean attention of evenly spaced images for the report, as 8-bit grey."""
        split = "validation" if self.context.splits_with_masks else "train"
        dataset = self.context.dataset({"split": split, "pipeline": []})
        count = min(self.num_attention_maps, len(dataset))
        indices = [place * len(dataset) // count for place in range(count)] if count else []
        share = own_share(count)
        for sample, _, attention in self._evidence(
            split, "attention maps", indices[share.start : share.stop]
        ):
            grey = (attention * 255).round().byte().cpu().numpy()
            path = self.folder / "attention" / split / f"{sample.image_id}.png"
            with atomic_write(path) as file:
                file.write(cv2.imencode(".png", grey)[1].tobytes())

    def _begin_pseudo_labels(self) -> None:
        """Make the folder; labels of another threshold or of other centroids go."""
        if is_main_process():
            root = self.folder / "pseudo_labels"
            shutil.rmtree(root, ignore_errors=True)
            root.mkdir()

    def _write_pseudo_labels(self, threshold: float) -> list[str]:
        """Label the images without a whole label; return the ids of those that are unreadable."""
        root = self.folder / "pseudo_labels"
        dataset = self._training_set(self.context, [])
        image_ids = {
            index: dataset.get_data_info(index)["image_id"] for index in own_share(len(dataset))
        }
        paths = {index: root / f"{image_id}.png" for index, image_id in image_ids.items()}
        missing = [index for index, path in paths.items() if not is_whole_png(path)]
        if damaged := [str(paths[index]) for index in missing if paths[index].exists()]:
            names = ", ".join(damaged[:_MOST_NAMES]) + (" ..." if damaged[_MOST_NAMES:] else "")
            print_log(
                f"{len(damaged)} pseudo labels are damaged: {names}: they are made anew",
                "current",
                level=_WARNING,
            )
        unreadable = []
        with fail_together():
            evidence = self._evidence("train", "pseudo labels", missing)
            for index, (sample, ids, attention) in zip(missing, evidence, strict=True):
                # Another image takes the place of one that cannot be read.
                if sample.image_id != image_ids[index]:
                    unreadable.append(image_ids[index])
                    continue
                labels = apply_threshold(ids, attention, threshold)
                write_pseudo_label(root, sample.image_id, labels.cpu().numpy())
        return [image_id for part in all_gather_object(unreadable) for image_id in part]


def _digest_of_ids(dataset) -> str:
    digest = hashlib.sha256()
    for index in range(len(dataset)):
        digest.update(dataset.get_data_info(index)["image_id"].encode() + b"\0")
    return digest.hexdigest()


def _percent(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f} %" for name, value in values.items())
