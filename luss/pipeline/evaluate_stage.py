"""Step 4: inference, matching and the fully unsupervised protocol (section 3.2.1)."""

import copy
import json
import platform
from pathlib import Path

import faiss
import mmengine
import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.logging import print_log

from luss.datasets.mask_codec import write_mask
from luss.engine.checkpoint import latest_checkpoint
from luss.evaluation.counting import count_image
from luss.evaluation.counts import Counts
from luss.evaluation.matching import read_match, write_match
from luss.evaluation.metrics import compute_metrics, to_percent
from luss.files import write_json
from luss.pipeline.context import Context
from luss.pipeline.inference import load_model, own_share, stream, summed_over_ranks
from luss.pipeline.stage import Stage
from luss.pipeline.work_dir import config_hash, main_process_decides
from luss.registry import MATCHERS, STAGES
from luss.version import __version__

__all__ = ["EvaluateStage", "metric_table"]

PROTOCOL = "fully_unsupervised"
_SHORT = {"validation": "val"}


@STAGES.register_module()
class EvaluateStage(Stage):
    """Predicts every image of the evaluation splits, matches on validation and counts.

    Predictions hold generated ids; ``match.json`` beside them says which true class each one is.
    Without masks the training photos are predicted and nothing is counted.

    Args:
        name: see :class:`Stage`.
        pipeline: of the images, with an optional ``LoadMask``.
        model_from: the stage that trained the segmentor.
        labels_from: the label generation stage, for how the threshold was chosen.
        matcher: config of one of ``MATCHERS``.
        boundary: whether to count boundary metrics, too.
        checkpoint: evaluate this file instead of the stage's newest.
        match: use this ``match.json`` instead of finding a match on validation.
        report_name: stem of the JSON file with the results, in the work dir.
    """

    def __init__(
        self,
        name: str,
        pipeline: list[dict],
        model_from: str = "finetune",
        labels_from: str = "label_generation",
        matcher: dict | None = None,
        boundary: bool = False,
        checkpoint: str | None = None,
        match: str | None = None,
        report_name: str = "results",
    ) -> None:
        super().__init__(name, requires=() if checkpoint else (model_from,))
        self.pipeline = pipeline
        self.model_from = model_from
        self.labels_from = labels_from
        self.matcher = MATCHERS.build(dict(matcher or {"type": "ImageLevelMatcher"}))
        self.boundary = boundary
        self.checkpoint = checkpoint
        self.match = match
        self.report_name = report_name

    def run(self, context: Context) -> dict:
        """Predict, match, count, and write ``results.json``."""
        folder = context.work_dir.stage(self.name)
        checkpoint = Path(
            self.checkpoint or latest_checkpoint(context.work_dir.stage(self.model_from))
        )
        config = copy.deepcopy(context.config["stages"][self.model_from]["model"])
        config["decode_head"]["num_classes"] = context.num_categories + 1
        model = load_model(config, checkpoint, context.device)

        splits = context.splits_with_masks
        counts = {
            split: self._predict(context, model, split, folder / "predictions" / split)
            for split in splits or ["train"]
        }
        if not splits:
            return {"checkpoint": checkpoint.name, "splits": []}
        match = self._find_match(counts, folder)
        results = {
            _SHORT.get(split, split): to_percent(compute_metrics(counts[split].matched(match)))
            for split in splits
        }
        path = context.work_dir.root / f"{self.report_name}.json"
        if is_main_process():
            write_json(path, self._with_provenance(context, path, results, checkpoint))
        print_log(f"{PROTOCOL}\n{metric_table(results)}\nwritten to {path}", "current")
        return {"checkpoint": checkpoint.name, "splits": splits}

    def _predict(self, context: Context, model, split: str, folder: Path) -> Counts | None:
        """Write predictions of a split; return their counts over all ranks, None without masks."""
        with_masks = split in context.splits_with_masks
        dataset = context.dataset(
            {"split": split, "pipeline": self.pipeline, "require_masks": True}
            if with_masks
            else {"split": split, "pipeline": self.pipeline}
        )
        counts = None
        if with_masks:
            counts = Counts.zeros(
                len(dataset.metainfo["classes"]) - 1, context.num_categories, self.boundary
            )
        share = own_share(len(dataset))
        for (item,) in stream(dataset, share, 1, context.num_workers, f"{split} predictions"):
            sample = item["data_samples"]
            batch = {"inputs": [item["inputs"]], "data_samples": [sample]}
            with torch.no_grad():
                (predicted,) = model.test_step(batch)
            ids = predicted.pred_sem_seg.data[0].cpu().numpy()
            write_mask(folder / f"{sample.image_id}.png", ids)
            if counts is not None:
                truth = sample.gt_sem_seg.data[0].cpu().numpy()
                counts.add(
                    count_image(ids, truth, counts.num_classes, counts.num_generated, self.boundary)
                )
        return summed_over_ranks(counts) if with_masks else None

    def _find_match(self, counts: dict[str, Counts], folder: Path) -> np.ndarray:
        """The match of generated to true ids: given, or found on validation, never on test."""
        first = next(iter(counts.values()))
        if self.match is not None:
            return read_match(self.match, first.num_classes)
        match = main_process_decides(self.matcher(counts["validation"]))
        if is_main_process():
            write_match(folder / "match.json", match)
        return match

    def _with_provenance(
        self, context: Context, path: Path, results: dict, checkpoint: Path
    ) -> dict:
        content = json.loads(path.read_text()) if path.exists() else {}
        threshold = context.work_dir.stage(self.labels_from) / "threshold.json"
        chosen = json.loads(threshold.read_text()) if threshold.exists() else {}
        content[PROTOCOL] = results
        content["provenance"] = {
            "seed": context.seed,
            "config_hash": config_hash(context.config),
            "checkpoint": f"{checkpoint.parent.name}/{checkpoint.name}",
            "threshold": chosen.get("threshold"),
            "threshold_chosen_by": chosen.get("method"),
            "match": self.match or f"{type(self.matcher).__name__} on validation masks",
            "processes": torch.distributed.get_world_size()
            if torch.distributed.is_initialized()
            else 1,
            "versions": {
                "luss": __version__,
                "python": platform.python_version(),
                "torch": torch.__version__,
                "mmengine": mmengine.__version__,
                "numpy": np.__version__,
                "faiss": faiss.__version__,
            },
        }
        return content


def metric_table(results: dict[str, dict[str, float | None]]) -> str:
    """Lay results out as text, a column a split.

    Args:
        results: split -> metric -> percent, None where it is not defined.
    """
    splits = list(results)
    names = list(results[splits[0]])
    lines = [f"{'%':12}" + "".join(f"{split:>10}" for split in splits)]
    for name in names:
        values = (results[split][name] for split in splits)
        lines.append(
            f"{name:12}" + "".join("         -" if v is None else f"{v:10.2f}" for v in values)
        )
    return "\n".join(lines)
