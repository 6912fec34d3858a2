"""Step 4: inference, matching and the fully unsupervised protocol (section 3.2.1)."""

import copy
import json
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import get_world_size, is_main_process
from mmengine.logging import print_log

from luss.datasets.mask_codec import write_mask
from luss.engine.checkpoint import latest_checkpoint, required_checkpoint
from luss.errors import LussError
from luss.evaluation.counting import count_image
from luss.evaluation.counts import Counts
from luss.evaluation.matching import read_match, write_match
from luss.evaluation.metrics import compute_metrics, to_percent
from luss.files import write_json
from luss.pipeline.context import Context
from luss.pipeline.inference import load_model, own_share, stream, summed_over_ranks
from luss.pipeline.provenance import versions
from luss.pipeline.stage import Stage
from luss.pipeline.work_dir import WorkDir, config_hash, main_process_decides
from luss.registry import MATCHERS, MODELS, STAGES

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
        self.matcher_config = matcher
        self.matcher = MATCHERS.build(dict(matcher or {"type": "ImageLevelMatcher"}))
        self.boundary = boundary
        self.checkpoint = checkpoint
        self.match = match
        self.report_name = report_name

    def again(self, work_dir: WorkDir, checkpoint: str | None = None) -> "EvaluateStage":
        """The stage that evaluates once more, without fitting anything again where it need not.

        Args:
            work_dir: of a run; the match that was found there is kept for its own model.
            checkpoint: of another model, whose ids mean something else: its match is found on
                validation masks. Its output is named after the file.

        Raises:
            LussError: if there is no such file.
        """
        settings = {
            "pipeline": self.pipeline,
            "model_from": self.model_from,
            "labels_from": self.labels_from,
            "matcher": self.matcher_config,
            "boundary": self.boundary,
        }
        newest = latest_checkpoint(work_dir.stage(self.model_from))
        if checkpoint is not None and not Path(checkpoint).is_file():
            raise LussError(f"there is no checkpoint {checkpoint}; give the path of a .pth file")
        if checkpoint is not None and (newest is None or not newest.samefile(checkpoint)):
            stem = Path(checkpoint).stem
            return EvaluateStage(
                f"{self.name}_{stem}",
                checkpoint=checkpoint,
                report_name=f"{self.report_name}_{stem}",
                **settings,
            )
        match = work_dir.stage(self.name) / "match.json"
        found = str(match) if match.exists() else None
        return EvaluateStage(self.name, match=found, report_name=self.report_name, **settings)

    def check(self, context: Context) -> None:
        """Build the model and the data sets.

        Raises:
            LussError: if there are masks, but neither a match nor masks to find it with.
        """
        MODELS.build(self._model_config(context))
        splits = context.splits_with_masks
        if splits and "validation" not in splits and self.match is None:
            raise LussError(
                f"{context.data['data_root']} has masks of {', '.join(splits)}, but the match of "
                "generated to true categories is found on validation masks, which are not there; "
                "add validation and validation-segmentation, or set stages."
                f"{self.name}.match to a match.json"
            )
        for split in splits or ["train"]:
            self._dataset(context, split)

    def _model_config(self, context: Context) -> dict:
        config = copy.deepcopy(context.config["stages"][self.model_from]["model"])
        config["decode_head"]["num_classes"] = context.num_categories + 1
        return config

    def _dataset(self, context: Context, split: str):
        if split in context.splits_with_masks:
            strict = {"require_masks": True, "on_unreadable": "fail"}
        else:
            # Nothing is measured on these.
            strict = {"on_unreadable": "skip"}
        return context.dataset({"split": split, "pipeline": self.pipeline, **strict})

    def run(self, context: Context) -> dict:
        """Predict, match, count, and write ``results.json``."""
        folder = context.work_dir.stage(self.name)
        checkpoint = Path(
            self.checkpoint or required_checkpoint(context.work_dir.stage(self.model_from))
        )
        model = load_model(self._model_config(context), checkpoint, context.device)

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
        dataset = self._dataset(context, split)
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
        path = folder / "match.json"
        if self.match is not None:
            print_log(f"the match of generated to true categories is {self.match}", "current")
            match = read_match(self.match, first.num_classes)
            if len(match) <= first.num_generated:
                # Ids that are not named count as 'other'.
                match = np.pad(match, (0, first.num_generated + 1 - len(match)))
            return match
        print_log(
            f"the match of generated to true categories is found on validation masks: {path}",
            "current",
        )
        match = main_process_decides(self.matcher(counts["validation"]))
        if is_main_process():
            write_match(path, match)
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
            "match": self._match_origin(context),
            "processes": get_world_size(),
            "versions": versions(),
        }
        return content

    def _match_origin(self, context: Context) -> str:
        own = context.work_dir.stage(self.name) / "match.json"
        if self.match is None or Path(self.match) == own:
            return f"{type(self.matcher).__name__} on validation masks"
        return str(self.match)


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
