"""What limits a run: its foreground, its embeddings or its categories? One pass over the photos."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.runner.amp import autocast
from numpy.typing import NDArray
from sklearn.metrics import normalized_mutual_info_score
from torch import Tensor

from foreground_analysis.ladder import Ladder
from foreground_analysis.page import Shown, write_page
from foreground_analysis.quality import AttentionSpread, ForegroundCounts, attention_spread
from foreground_analysis.sources import build_sources, own_name
from luss.datasets.mask_codec import IGNORE_ID, read_item_mask
from luss.engine.inference import load_model
from luss.engine.loops.splits_test_loop import autocast_settings
from luss.engine.progress import Progress
from luss.errors import LussError
from luss.evaluation.match_source import MatchSource
from luss.files import read_arrays, write_json
from luss.label_generation.clustering_quality import matched_accuracy
from luss.label_generation.feature_maps import pool_over
from luss.label_generation.foreground import LazyPhoto, resize_map
from luss.label_generation.foreground.source import as_array
from luss.label_generation.map_folder import as_stored
from luss.label_generation.threshold_file import read_threshold
from luss.label_generation.threshold_rules import threshold_rule
from luss.label_generation.threshold_search import ThresholdSearch
from luss.models.heads.pixel_attention import SCALE
from luss.models.segmentors import foreground_of_logits, predict_ids
from luss.pipeline import Pipeline
from luss.pipeline.context import Context
from luss.pipeline.resolving import resolved_stage
from luss.registry import EMBEDDERS, LABEL_GENERATORS, LABEL_WRITERS
from luss.stages.sound_masks import require_sound_masks
from luss.visualization.gallery import evenly_spaced
from luss.visualization.report import whole_folder

__all__ = ["FINISHED_MODEL", "FOLDER", "analyze_foreground"]

FOLDER = "foreground_analysis"
FINISHED_MODEL = "finished model"
_PSEUDO_LABELS = "pseudo labels"
_TRUE_MASKS, _WHOLE, _OF_MODEL = "true masks", "whole photo", "the model's own"
_SHOWN_PHOTOS = 8
_SHOWN_CHANNELS = 8

Map = NDArray[np.float32] | Tensor


def analyze_foreground(
    pipeline: Pipeline, split: str = "validation", sources: Sequence[str] | None = None
) -> dict[str, Any]:
    """Compare a run with true masks, and write ``WORK_DIR/foreground_analysis``.

    Args:
        pipeline: of a run with complete pseudo labels; the finished model is included once it has
            been evaluated.
        split: with true masks.
        sources: names of foreground sources to compare, see ``build_sources``.

    Returns:
        The content of ``analysis.json``, see the README.

    Raises:
        LussError: if the pseudo labels are incomplete, the split has no true masks, or a source is
            unknown or does not fit the model.
    """
    with pipeline.opened() as context:
        masked = context.description.masked
        if split not in masked:
            raise LussError(
                f"the analysis compares with true masks, but {split!r} of "
                f"{context.data['data_root']} has none; splits with masks: "
                f"{', '.join(masked) or 'none'}"
            )
        labels = _finished(pipeline, context, "pseudo_labels")
        if not labels:
            raise LussError(
                f"no stage has finished pseudo labels in {context.work_dir.root}; train first"
            )
        evaluated = _finished(pipeline, context, "predictions")
        segmentor = next((each for each in evaluated if _predicts_categories(each)), None)
        if segmentor is None:
            print_log("no segmentor is evaluated: it is left out", "current", logging.WARNING)
        require_sound_masks(context, split)
        found, shown = _Analysis(context, split, labels[0], segmentor, sources).run()
        with whole_folder(context.work_dir.stage(FOLDER)) as folder:
            write_json(folder / "analysis.json", found)
            write_page(folder, found, shown)
        print_log(f"written to {context.work_dir.stage(FOLDER) / 'index.html'}", "current")
    return found


def _finished(pipeline: Pipeline, context: Context, role: str) -> list[dict]:
    """Return the runner configurations of the finished stages that have outputs of a role."""
    return [
        resolved_stage(stage, context).runner_config(context)
        for name, stage in pipeline.stages.items()
        if context.work_dir.is_done(name) and role in context.work_dir.outputs(name)
    ]


def _predicts_categories(config: dict) -> bool:
    """Return whether a runner tests a segmentor of discovered categories."""
    metrics = [metric for each in config["test_evaluator"].values() for metric in each]
    return "decode_head" in config["model"] and any("num_generated" in each for each in metrics)


class _Analysis:
    """The parts of a run, and sums over photos.

    Args:
        context: of the run.
        split: with true masks.
        labels: runner configuration of label generation.
        segmentor: runner configuration of the stage that evaluates the model, or None.
        names: of sources to compare.
    """

    def __init__(
        self,
        context: Context,
        split: str,
        labels: dict,
        segmentor: dict | None,
        names: Sequence[str] | None,
    ) -> None:
        def photos(loader: dict):
            settings = {"require_masks": True, "on_unreadable": "fail"}
            pipeline = loader["dataset"]["pipeline"]
            return context.dataset({"split": split, "pipeline": pipeline, **settings})

        device = torch.device(get_device())
        settings = labels["test_cfg"]
        own = dict(settings["foreground"])
        self.split = split
        self.photos = photos(labels["test_dataloader"]["pixels"])
        self.model: Any = load_model(dict(labels["model"]), Path(labels["load_from"]), device)
        self.has_attention = hasattr(self.model, "attention")
        self.embedder = EMBEDDERS.build(dict(settings["embedder"]))
        filled = {"num_clusters": settings["num_categories"], "seed": context.seed}
        self.generator = LABEL_GENERATORS.build({**filled, **settings["generator"]})
        self.rule = threshold_rule(settings["threshold"], settings.get("matcher"))
        self.writer = LABEL_WRITERS.build(dict(settings["writer"]))
        self.own = own_name(own)
        self.sources = build_sources(names, own, self.model)
        threshold = read_threshold(Path(labels["work_dir"], "threshold.json"))
        assert threshold is not None, "a finished label generation has written it"
        self.threshold = threshold
        (centroids,) = read_arrays(Path(labels["work_dir"], "centroids.npz"), "centroids")
        self.centroids = torch.from_numpy(centroids)
        classes = len(self.photos.metainfo["classes"]) - 1
        self.num_categories = settings["num_categories"]
        matcher = MatchSource(**_matching(settings, segmentor)).of

        def ladder() -> Ladder:
            return Ladder(classes, self.num_categories, matcher)

        def search(largest: float) -> ThresholdSearch:
            steps = tuple(step / 100 for step in range(round(100 * largest) + 1))
            return ThresholdSearch(classes, self.num_categories, steps, matcher)

        self.ladders = {_PSEUDO_LABELS: ladder()}
        self.quality = {name: ForegroundCounts() for name in self.sources}
        self.search = {
            name: search(source.largest_threshold) for name, source in self.sources.items()
        }
        self.spreads: list[AttentionSpread] = []
        self.classes: list[int] = []
        self.embeddings: dict[str, list[NDArray[np.float32]]] = {}
        self.segmentor = None
        if segmentor is not None:
            self.segmentor = _Segmentor(segmentor, device)
            loader = next(iter(segmentor["test_dataloader"].values()))
            self.evaluated_photos = photos(loader)
            self.ladders[FINISHED_MODEL] = ladder()
            self.quality[FINISHED_MODEL] = ForegroundCounts()

    @torch.no_grad()
    def run(self) -> tuple[dict[str, Any], list[Shown]]:
        """Look at all photos; return the figures, and the photos to show."""
        count = len(self.photos)
        places = set(evenly_spaced(count, _SHOWN_PHOTOS).tolist())
        shown, features = [], []
        progress = Progress(count, f"foreground of {self.split}")
        for index in range(count):
            item = self.photos.get_data_info(index)
            truth = read_item_mask(item)
            photo = self._photo(self.photos[index])
            maps = self._look_at(photo, truth)
            if self.segmentor is not None:
                self._predict(self.evaluated_photos[index], truth)
            if index in places:
                arrays = {name: as_array(each) for name, each in maps.items()}
                shown.append(Shown(item, arrays, {}))
                features.append(photo.features)
            progress.advance(1)
        found = {
            "split": self.split,
            "images": count,
            "own_source": self.own,
            "threshold": self.threshold.value,
            "sources": {name: self._of_source(name) for name in self.quality},
            "embeddings": self._cluster(),
            "ladder": {name: ladder.miou() for name, ladder in self.ladders.items()},
        }
        if self.has_attention:
            found["attention"] = self._of_attention()
            for photo, feature in zip(shown, features, strict=True):
                attention = self.model.attention.attention(feature)[0]
                photo.channels["mean"] = as_array(attention.mean(dim=0))
                for channel in found["attention"]["shown channels"]:
                    photo.channels[f"channel {channel}"] = as_array(attention[channel])
        return found, shown

    def _photo(self, packed: dict) -> LazyPhoto:
        sample = packed["data_samples"]
        batch = {"inputs": [packed["inputs"][None]]}
        return LazyPhoto(
            sample.image_id,
            sample.img_path,
            self.split,
            sample.get("upright", False),
            self.model.data_preprocessor(batch)["inputs"][0],
            self.model,
            sample,
        )

    def _look_at(self, photo: LazyPhoto, truth: NDArray[np.integer]) -> dict[str, Map]:
        """Add a photo to all sums; return its maps by source."""
        inside = (truth > 0) & (truth != IGNORE_ID)
        # The class with the largest area; 0 if there is none.
        self.classes.append(int(np.bincount(truth[inside]).argmax()) if inside.any() else 0)
        if self.has_attention:
            attention = self.model.attention.attention(photo.features)[0]
            self.spreads.append(attention_spread(attention))
        maps = {name: source(photo) for name, source in self.sources.items()}
        if not self.sources[self.own].is_free:
            maps[self.own] = as_stored(as_array(maps[self.own]))
        self._embed(photo, maps, inside)
        for name, values in maps.items():
            weights = torch.as_tensor(values, device=photo.features.device)[None, None]
            ids, foreground = self.writer.evidence(
                photo.features, weights, self.centroids, truth.shape
            )
            categories = ids[0].cpu().numpy()
            likely = as_array(foreground[0])
            self.quality[name].add(likely.clip(0, 1), truth)
            self.search[name].add(likely.clip(0, 1), categories, truth)
            if name == self.own:
                threshold = self.rule.of_image(likely, self.threshold)
                mask = self.writer.label(ids[0], foreground[0], threshold).cpu().numpy() > 0
                height, width = photo.features.shape[2:]
                grid = (SCALE * height, SCALE * width)
                self.ladders[_PSEUDO_LABELS].add(mask, categories, truth, grid)
        return maps

    # Embeddings

    def _embed(self, photo: LazyPhoto, maps: Mapping[str, Map], inside: NDArray[np.bool_]) -> None:
        """Add the photo's features, pooled over each map, and its own embedding."""
        pooled = {**maps, _WHOLE: np.ones((1, 1), np.float32), _TRUE_MASKS: inside}
        for name, values in pooled.items():
            weights = torch.as_tensor(values, device=photo.features.device)[None, None].float()
            self._keep(name, pool_over(photo.features, weights)[0])
        own: tuple[Tensor, ...] = ()
        assert photo.inputs is not None
        if getattr(self.embedder, "reads_maps", False):
            if self.sources[self.own].is_free:
                # Its embeddings read maps of another stage.
                return
            resized = resize_map(as_array(maps[self.own]), tuple(photo.inputs.shape[2:]))
            own = (torch.from_numpy(resized)[None, None].to(photo.inputs),)
        embedding = self.embedder.embed(self.model, photo.inputs, *own)
        if embedding.ndim == 2:  # not of each pixel
            self._keep(_OF_MODEL, embedding[0])

    def _keep(self, name: str, embedding: Tensor) -> None:
        self.embeddings.setdefault(name, []).append(embedding.cpu().numpy())

    def _cluster(self) -> dict[str, dict[str, float]]:
        """Compare clusters of each kind of embedding with the photos' largest class, in percent."""
        classes = np.array(self.classes)
        labelled = classes > 0
        if labelled.sum() < self.num_categories:
            print_log(
                f"embeddings are not compared: {labelled.sum()} photos with a true class cannot "
                f"form {self.num_categories} clusters",
                "current",
                logging.WARNING,
            )
            return {}
        found = {}
        for name, rows in self.embeddings.items():
            clusters = self.generator.fit(np.stack(rows)).assignments[labelled]
            found[name] = {
                "accuracy": 100 * matched_accuracy(clusters, classes[labelled]),
                "NMI": 100 * normalized_mutual_info_score(classes[labelled], clusters),
            }
        return found

    # Figures

    def _of_source(self, name: str) -> dict[str, Any]:
        found = self.quality[name].quality()
        if name not in self.search:
            return found
        curve = self.search[name].curve()
        best = 100 * float(curve.miou[curve.best])
        return {**found, "best mIoU": best, "mIoU threshold": curve.threshold}

    def _of_attention(self) -> dict[str, Any]:
        of_channels = np.mean([spread.of_channels for spread in self.spreads], axis=0)
        return {
            "channels": len(of_channels),
            "deviation of the mean": float(np.mean([spread.of_mean for spread in self.spreads])),
            "mean deviation of a channel": float(of_channels.mean()),
            "mean correlation of channels": float(
                np.mean([spread.correlation for spread in self.spreads])
            ),
            "shown channels": np.argsort(-of_channels, kind="stable")[:_SHOWN_CHANNELS].tolist(),
        }

    def _predict(self, packed: dict, truth: NDArray[np.integer]) -> None:
        """Add the finished model's prediction of a photo."""
        assert self.segmentor is not None
        ids, categories, likely, grid = self.segmentor.predict(packed, truth.shape)
        self.quality[FINISHED_MODEL].add(likely.clip(0, 1), truth)
        self.ladders[FINISHED_MODEL].add(ids > 0, categories, truth, grid)


class _Segmentor:
    """The finished model, as it was evaluated.

    Args:
        config: runner configuration of the stage that evaluates it.
        device: of the model.
    """

    def __init__(self, config: dict, device: torch.device) -> None:
        self.model: Any = load_model(dict(config["model"]), Path(config["load_from"]), device)
        self.model.keep_logits = True
        precision = {"fp16", "bf16"} & config["test_cfg"].keys()
        self.precision = autocast_settings(**{key: config["test_cfg"][key] for key in precision})
        self.by_activation = getattr(self.model, "cam_threshold", None) is not None

    def predict(
        self, packed: dict, size: tuple[int, ...]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], tuple[int, int]]:
        """Predict a photo.

        Args:
            packed: item of a data set.
            size: (H, W) of the photo.

        Returns:
            Predicted ids (H, W); the most likely category of each pixel apart from 'other' (H, W);
            foreground (H, W) in [0, 1]; size of the logits.

        Raises:
            LussError: if the model predicts without logits.
        """
        with autocast(**self.precision):
            (sample,) = self.model.test_step({key: [value] for key, value in packed.items()})
        if "seg_logits" not in sample:
            raise LussError(
                f"{type(self.model).__name__} predicts without seg_logits, so the analysis cannot "
                "tell its second choice from 'other'"
            )
        ids, logits = sample.pred_sem_seg.data[0], sample.seg_logits.data[None].float()
        instead = predict_ids(logits[:, 1:], size, self.model.align_corners)[0] + 1
        categories = torch.where(ids > 0, ids, instead)
        likely = foreground_of_logits(logits, self.by_activation)
        likely = F.interpolate(likely, size, mode="bilinear", align_corners=False)
        found = ids.cpu().numpy(), categories.cpu().numpy(), as_array(likely[0, 0])
        return *found, tuple(logits.shape[2:])


def _matching(labels: dict, segmentor: dict | None) -> dict[str, Any]:
    """Return the given match of the evaluation, or else its matcher, or that of the labels."""
    evaluators = segmentor["test_evaluator"].values() if segmentor else ()
    for metric in (metric for metrics in evaluators for metric in metrics):
        if "matcher" in metric:
            return {"matcher": metric["matcher"]}
        if "match" in metric:
            return {"match": metric["match"]}
    return {"matcher": labels.get("matcher") or {"type": "ImageLevelMatcher"}}
