"""The diagnosis of a run on true masks: foreground, embeddings and the ladder (section 5)."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dist import all_gather_object, barrier, is_main_process
from mmengine.logging import print_log
from mmengine.runner.amp import autocast
from numpy.typing import NDArray
from sklearn.metrics import normalized_mutual_info_score
from torch import Tensor

from luss.datasets.mask_codec import IGNORE_ID
from luss.engine.checkpoint import load, load_weights
from luss.engine.loops.foreground_maps import photos_of, split_of
from luss.engine.loops.splits_test_loop import autocast_settings
from luss.engine.loops.streaming_loop import StreamingLoop
from luss.errors import LussError
from luss.evaluation.counts import Counts
from luss.evaluation.foreground_quality import (
    AttentionSpread,
    ForegroundCounts,
    attention_spread,
)
from luss.evaluation.ladder import Ladder
from luss.evaluation.match_source import MatchSource
from luss.files import read_arrays
from luss.label_generation.clustering_quality import (
    matched_accuracy,
)
from luss.label_generation.foreground import ForegroundSource, LazyPhoto, resize_map
from luss.label_generation.foreground.compared import build_to_compare
from luss.label_generation.foreground.source import as_array
from luss.label_generation.map_folder import MapFolder, as_stored
from luss.label_generation.pooling import pool_over
from luss.label_generation.threshold_file import read_threshold
from luss.label_generation.threshold_search import ThresholdSearch
from luss.models.heads.pixel_attention import SCALE
from luss.models.segmentors import foreground_of_logits, predict_ids
from luss.ranks import fail_together, own_share, summed_over_ranks
from luss.registry import (
    EMBEDDERS,
    FOREGROUND_SOURCES,
    LABEL_GENERATORS,
    LABEL_WRITERS,
    LOOPS,
    MATCHERS,
    MODELS,
    THRESHOLD_RULES,
)

__all__ = ["FINISHED_MODEL", "ForegroundAnalysisLoop"]

FINISHED_MODEL = "finished model"
_PSEUDO_LABELS = "pseudo labels"
_TRUE_MASKS, _WHOLE, _OF_MODEL = "true masks", "whole photo", "the model's own"


@LOOPS.register_module()
class ForegroundAnalysisLoop(StreamingLoop):
    """Compares what a run found with the true masks of a split, in one pass for each model.

    Sums alone are kept; embeddings are rows of files in the folder, removed at the end.

    Args:
        runner: whose model, from ``load_from``, has the features and the attention.
        dataloader: configs of data loaders of the split with masks, of batch size 1, with a
            ``ShareSampler``: ``photos`` as label generation sees them; ``predictions`` as the
            segmentor does, if there is one.
        evaluator: of MMEngine's test loops; nothing is evaluated by it.
        folder: takes maps of photos: ``maps/<source>``, ``channels/<channel>``, ``channels/mean``.
        labels: what label generation used: its ``folder``, ``num_categories`` and the configs of
            ``embedder``, ``foreground``, ``threshold``, ``writer`` and ``generator``; and
            ``embedding_maps``, of a source of foreground, where the embedder reads other maps than
            those of ``foreground``.
        sources: name -> config of sources of foreground to compare; the run's own is added.
        segmentor: ``model`` and ``checkpoint`` of the finished model, with ``fp16`` or ``bf16``
            where it is tested so; None if there is none.
        matching: ``matcher``, config of one of ``MATCHERS``, or ``match``, the file of a match; as
            the finished model is evaluated.
        num_photos: whose maps are kept, spread over the split.
        num_channels: of attention that are kept, those of the largest deviation.
    """

    def __init__(
        self,
        runner,
        dataloader: dict[str, dict],
        evaluator: object = None,
        *,
        folder: str,
        labels: dict,
        sources: dict[str, dict],
        segmentor: dict | None = None,
        matching: dict | None = None,
        num_photos: int = 8,
        num_channels: int = 8,
    ) -> None:
        super().__init__(runner, dataloader)
        self.folder = Path(folder)
        self.num_photos, self.num_channels = num_photos, num_channels
        self.num_categories = labels["num_categories"]
        self.embedder = EMBEDDERS.build(labels["embedder"])
        self.generator = LABEL_GENERATORS.build(labels["generator"])
        self.rule = THRESHOLD_RULES.build(labels["threshold"])
        self.writer = LABEL_WRITERS.build(labels["writer"])
        self.segmentor = segmentor
        self.matcher = _matcher_of(**(matching or {"matcher": {"type": "ImageLevelMatcher"}}))
        own = dict(labels["foreground"])
        known = [name for name, config in sources.items() if config == own]
        plain = own["type"] if len(own) == 1 else f"own ({own['type']})"
        self.own_name = known[0] if known else plain
        self.sources = build_to_compare({**sources, self.own_name: own})
        maps = labels.get("embedding_maps")
        self.embedding_maps = None if maps is None else FOREGROUND_SOURCES.build(dict(maps))
        source_folder = Path(labels["folder"])
        threshold = read_threshold(source_folder / "threshold.json")
        if threshold is None:
            raise LussError(
                f"there is no {source_folder / 'threshold.json'}; finish label generation first"
            )
        self.threshold = threshold
        (centroids,) = read_arrays(source_folder / "centroids.npz", "centroids")
        self.centroids = torch.from_numpy(centroids)
        self.scale = None
        if self.sources[self.own_name].scale_of_set:
            self.scale = np.load(source_folder / "foreground_scale.npy")

    @torch.no_grad()
    def run(self) -> dict[str, Any]:
        """Look at all photos.

        Returns:
            What JSON can hold, NaN apart; see ``docs/analysis.md``.

        Raises:
            LussError: if a photo has no mask, or nothing can be evaluated.
        """
        self.runner.call_hook("before_test")
        self.runner.model.eval()
        self.has_attention = hasattr(self.model, "attention")
        dataset = self.loader("photos").dataset
        self.num_classes = len(dataset.metainfo["classes"]) - 1
        if is_main_process():
            shutil.rmtree(self.folder / "maps", ignore_errors=True)
            shutil.rmtree(self.folder / "channels", ignore_errors=True)
        self._reserve_embeddings(len(dataset))
        with fail_together():
            self._look_at_photos(len(dataset))
        found = self._summary(len(dataset))
        if self.segmentor is not None:
            quality, ladder = self._look_at_predictions()
            found["sources"][FINISHED_MODEL] = quality
            found["ladder"][FINISHED_MODEL] = ladder
        self.runner.call_hook("after_test")
        return found

    # Photos and the model with attention

    def _look_at_photos(self, count: int) -> None:
        """Add all photos of this process to the sums, and keep the maps of some."""
        self.quality = {name: ForegroundCounts() for name in self.sources}
        self.search = {
            name: ThresholdSearch(
                self.num_classes, self.num_categories, _thresholds_of(source), self.matcher
            )
            for name, source in self.sources.items()
        }
        self.ladder = Ladder(self.num_classes, self.num_categories, self.matcher)
        self.spread = AttentionSpread()
        self.labels: list[int] = []
        shown = _spread_places(count, self.num_photos)
        photos = photos_of(self, "photos", "foreground")
        for place, photo in zip(own_share(count), photos, strict=True):
            truth = _truth_of(photo.sample)
            self.labels.append(_largest_class(truth))
            if self.has_attention:
                self.spread += attention_spread(self.model.attention.attention(photo.features)[0])
            self._pool(place, photo, truth)
            for name, source in self.sources.items():
                values = self._map_of(name, source, photo)
                self._pool_over(name, place, photo, values)
                self._compare(name, photo, values, truth)
                if place in shown:
                    folder = MapFolder(self.folder / "maps" / name)
                    folder.write(photo.split, photo.image_id, as_array(values))

    def _map_of(
        self, name: str, source: ForegroundSource, photo: LazyPhoto
    ) -> NDArray[np.float32] | Tensor:
        """Return the map of a source; the run's own as label generation stored it."""
        values = source(photo)
        if name != self.own_name or source.is_free:
            return values
        values = as_array(values)
        if self.scale is not None:
            values = self.scale[(values * (len(self.scale) - 1)).round().astype(np.int64)]
        return as_stored(values)

    def _compare(self, name: str, photo: LazyPhoto, values, truth: NDArray) -> None:
        features = photo.features
        foreground = torch.as_tensor(values, device=features.device)[None, None]
        ids, foreground = self.writer.evidence(features, foreground, self.centroids, truth.shape)
        values = as_array(foreground[0]).clip(0, 1)
        self.quality[name].add(values, truth)
        self.search[name].add(values, ids[0].cpu().numpy(), truth)
        if name == self.own_name:
            threshold = self.rule.of_image(as_array(foreground[0]), self.threshold)
            found = self.writer.label(ids[0], foreground[0], threshold).cpu().numpy()
            rows, columns = features.shape[2:]
            grid = (SCALE * rows, SCALE * columns)
            self.ladder.add(found > 0, ids[0].cpu().numpy(), truth, grid)

    # Embeddings

    def _reserve_embeddings(self, count: int) -> None:
        (first,) = photos_of(self, "photos", "width of the features", [0])
        widths = dict.fromkeys([*self.sources, _WHOLE, _TRUE_MASKS], first.features.shape[1])
        own = self._embed(first)
        if own.ndim == 2:
            widths[_OF_MODEL] = own.shape[1]
        else:
            print_log(
                f"{type(self.embedder).__name__} embeds every pixel: photos are not clustered by "
                "embeddings of the model's own",
                "current",
            )
        self.rows_of = {
            name: self.folder / f".embeddings_{place}.npy" for place, name in enumerate(widths)
        }
        if is_main_process():
            self.folder.mkdir(parents=True, exist_ok=True)
            for name, path in self.rows_of.items():
                np.lib.format.open_memmap(path, "w+", np.float32, (count, widths[name])).flush()
        barrier()
        self.rows = {
            name: np.lib.format.open_memmap(path, "r+") for name, path in self.rows_of.items()
        }

    def _embed(self, photo: LazyPhoto) -> Tensor:
        """Return the photo's embedding of label generation: (1, L), or (1, pixels, L)."""
        if not getattr(self.embedder, "reads_maps", False):
            return self.embedder.embed(self.model, photo.inputs)
        if self.embedding_maps is None:
            values = self._map_of(self.own_name, self.sources[self.own_name], photo)
        else:
            values = self.embedding_maps(photo)
        assert photo.inputs is not None
        height, width = photo.inputs.shape[2:]
        values = resize_map(as_array(values), (height, width))
        maps = torch.from_numpy(values)[None, None].to(photo.inputs)
        return self.embedder.embed(self.model, photo.inputs, maps)

    def _pool(self, place: int, photo: LazyPhoto, truth: NDArray) -> None:
        if _OF_MODEL in self.rows:
            self.rows[_OF_MODEL][place] = self._embed(photo)[0].cpu().numpy()
        inside = (truth > 0) & (truth != IGNORE_ID)
        self._pool_over(_TRUE_MASKS, place, photo, inside.astype(np.float32))
        self._pool_over(_WHOLE, place, photo, np.ones((1, 1), np.float32))

    def _pool_over(self, name: str, place: int, photo: LazyPhoto, weights) -> None:
        weights = torch.as_tensor(weights, device=photo.features.device)[None, None]
        self.rows[name][place] = pool_over(photo.features, weights)[0].cpu().numpy()

    def _cluster(self, labels: NDArray[np.int64]) -> dict[str, dict[str, float]]:
        """Clusters of each kind of embedding against the photos' largest true class, in percent."""
        labelled = labels > 0
        if labelled.sum() < self.num_categories:
            print_log(
                f"embeddings are not compared: {labelled.sum()} photos with a true class cannot "
                f"form {self.num_categories} clusters",
                "current",
                level=30,
            )
            return {}
        found = {}
        for name, rows in self.rows.items():
            clusters = self.generator.fit(rows).assignments[labelled]
            found[name] = {
                "accuracy": 100 * matched_accuracy(clusters, labels[labelled]),
                "NMI": 100 * normalized_mutual_info_score(labels[labelled], clusters),
            }
        return found

    # What was found

    def _summary(self, count: int) -> dict[str, Any]:
        quality = {name: summed_over_ranks(part) for name, part in self.quality.items()}
        search = {name: summed_over_ranks(part) for name, part in self.search.items()}
        ladder, spread = summed_over_ranks(self.ladder), summed_over_ranks(self.spread)
        labels = np.array([label for part in all_gather_object(self.labels) for label in part])
        for rows in self.rows.values():
            rows.flush()
        barrier()
        embeddings = self._cluster(labels) if is_main_process() else {}
        barrier()
        if is_main_process():
            for path in self.rows_of.values():
                path.unlink()
        sources = {}
        for name, counts in quality.items():
            curve = search[name].curve()
            sources[name] = {
                **_described(counts),
                "best mIoU": 100 * float(curve.miou[curve.best]),
                "mIoU threshold": curve.threshold,
            }
        found = {
            "split": split_of(self.loader("photos")),
            "images": count,
            "own_source": self.own_name,
            "threshold": self.threshold.value,
            "sources": sources,
            "embeddings": embeddings,
            "ladder": {_PSEUDO_LABELS: _in_percent(ladder.miou())},
        }
        if self.has_attention:
            found["attention"] = self._describe_attention(spread.mean(), count)
        return found

    def _describe_attention(self, spread: AttentionSpread, count: int) -> dict[str, Any]:
        """Return the figures; write the maps of the channels with the largest deviation."""
        order = np.argsort(-spread.of_channels, kind="stable")[: self.num_channels].tolist()
        shown = _spread_places(count, self.num_photos)
        mine = [place for place in own_share(count) if place in shown]
        with fail_together():
            for photo in photos_of(self, "photos", "channels of attention", mine):
                attention = self.model.attention.attention(photo.features)[0]
                maps = {"mean": attention.mean(dim=0)}
                maps |= {str(channel): attention[channel] for channel in order}
                for name, values in maps.items():
                    folder = MapFolder(self.folder / "channels" / name)
                    folder.write(photo.split, photo.image_id, as_array(values))
        return {
            "channels": np.size(spread.of_channels),
            "deviation of the mean": spread.of_mean,
            "mean deviation of a channel": float(np.mean(spread.of_channels)),
            "mean correlation of channels": spread.correlation,
            "shown channels": order,
        }

    # Predictions of the segmentor

    def _look_at_predictions(self) -> tuple[dict[str, Any], dict[str, float]]:
        """Return foreground quality and ladder of the finished model."""
        segmentor = self.segmentor
        assert segmentor is not None
        model = MODELS.build(dict(segmentor["model"]))
        path = Path(segmentor["checkpoint"])
        load_weights(model, load(path), path)
        model = model.to(next(self.model.parameters()).device).eval()
        model.keep_logits = True
        precision = autocast_settings(
            **{key: segmentor[key] for key in ("fp16", "bf16") if key in segmentor}
        )
        by_activation = getattr(model, "cam_threshold", None) is not None
        ladder = Ladder(self.num_classes, self.num_categories, self.matcher)
        quality = ForegroundCounts()
        with fail_together():
            for batch in self.batches(self.loader("predictions"), "predictions"):
                truth = _truth_of(batch["data_samples"][0])
                with autocast(**precision):
                    (sample,) = model.test_step(batch)
                if "seg_logits" not in sample:
                    raise LussError(
                        f"{type(model).__name__} predicts without seg_logits, by which the "
                        "analysis looks behind its ids; leave it out by stages."
                        "foreground_analysis.evaluate_from=None"
                    )
                found = sample.pred_sem_seg.data[0]
                logits = sample.seg_logits.data[None].float()
                # The most likely category without 'other'.
                instead = predict_ids(logits[:, 1:], truth.shape, model.align_corners)[0] + 1
                categories = torch.where(found > 0, found, instead)
                likely = foreground_of_logits(logits, by_activation)
                likely = F.interpolate(likely, truth.shape, mode="bilinear", align_corners=False)
                quality.add(as_array(likely[0, 0]).clip(0, 1), truth)
                grid = tuple(logits.shape[2:])
                ladder.add(found.cpu().numpy() > 0, categories.cpu().numpy(), truth, grid)
        quality, ladder = summed_over_ranks(quality), summed_over_ranks(ladder)
        return _described(quality), _in_percent(ladder.miou())


def _matcher_of(
    matcher: dict | None = None, match: str | None = None
) -> Callable[[Counts], NDArray[np.int64]]:
    """Return a function from counts to a match, which it computes or reads from a file."""
    if match is not None:
        return MatchSource(match=match).of
    assert matcher is not None
    return MATCHERS.build(dict(matcher))


def _thresholds_of(source: ForegroundSource) -> tuple[float, ...]:
    """Those that label generation tries for a source."""
    return tuple(step / 100 for step in range(round(100 * source.largest_threshold) + 1))


def _truth_of(sample) -> NDArray[np.integer]:
    """Return the true mask (H, W) of a packed sample."""
    if "gt_sem_seg" not in sample:
        raise LussError(
            f"{sample.img_path} comes without its true mask; the pipeline needs LoadMask, and the "
            "split true masks"
        )
    return sample.gt_sem_seg.data[0].numpy()


def _largest_class(truth: NDArray[np.integer]) -> int:
    """Return the true class with the largest area; 0 if there is none."""
    inside = truth[(truth > 0) & (truth != IGNORE_ID)]
    return int(np.bincount(inside).argmax()) if inside.size else 0


def _spread_places(count: int, most: int) -> set[int]:
    """At most ``most`` places of 0..count-1, spread evenly."""
    return set(np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist())


def _described(counts: ForegroundCounts) -> dict[str, Any]:
    found = counts.quality()
    return {
        "AUC within images": found.auc_within,
        "AUC over images": found.auc_over,
        "best IoU": 100 * found.best_iou[0],
        "IoU threshold": found.best_iou[1],
        "best F_beta": 100 * found.best_f_beta[0],
        "F_beta threshold": found.best_f_beta[1],
        "deviation": found.deviation,
        "curves": {
            "thresholds": found.thresholds.tolist(),
            "IoU": (100 * found.iou).tolist(),
            "F_beta": (100 * found.f_beta).tolist(),
        },
    }


def _in_percent(fractions: Mapping[str, float]) -> dict[str, float]:
    return {name: 100 * value for name, value in fractions.items()}
