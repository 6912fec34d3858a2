"""What each of two processes meets when one of them fails; a module that both can import."""

import json
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from mmengine import Config
from mmengine.evaluator import Evaluator
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmengine.structures import BaseDataElement, PixelData
from tiny_networks import LOADER
from torch import nn

from luss.errors import LussError
from luss.evaluation.segmentation_metric import SegmentationMetric
from luss.pipeline.context import Context
from luss.pipeline.work_dir import WorkDir
from luss.registry import MODELS, RUNNERS
from luss.stages import Test

GENERATED, CLASSES, IMAGES = 8, 6, 17
JOINING = [0, 1, 2, 3, 4, 5, 6, 0, 0]
ERRORS = {"for people": LussError("one image is bad"), "a fault of ours": ValueError("a bug")}


def validation_set(root, work_dir):
    """Configuration of an odd number of images."""
    config = Config({"data_root": str(root), "num_workers": 0, "stages": {}})
    context = Context(config, WorkDir(work_dir))
    stage = Test("evaluate", protocol={"type": "SemiSupervised"}, test_dataloader=LOADER)
    return {**stage.loader_of_split(context, "validation")["dataset"], "indices": IMAGES}


def draw_ids(sample):
    """Generated ids of an image, at its original size, that depend on its name alone."""
    seed = sum(map(ord, sample.image_id))
    return np.random.default_rng(seed).integers(0, GENERATED + 1, sample.ori_shape[:2])


@MODELS.register_module()
class DrawIds(BaseModel):
    """Predicts drawn ids; its third image on the second process may be too much for it."""

    def __init__(self, error=None):
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.error = error
        self.count = 0

    def forward(self, inputs, data_samples=None, mode="predict"):
        for sample in data_samples:
            self.count += 1
            if self.error and dist.get_rank() == 1 and self.count == 3:
                raise ERRORS[self.error]
            ids = torch.from_numpy(draw_ids(sample))
            sample.pred_sem_seg = PixelData(data=ids[None])
        return data_samples


def predict(dataset, folder, error=None):
    """Metrics of a match that joins categories, for which masks are counted again."""
    metrics = [
        {"type": "DumpMasks", "folder": folder},
        {
            "type": "SegmentationMetric",
            "num_classes": CLASSES,
            "num_generated": GENERATED,
            "match": JOINING,
        },
    ]
    loader = {"batch_size": 2, "num_workers": 0, "dataset": dataset}
    config = {
        "runner_type": "luss.Runner",
        "model": {"type": "DrawIds", "error": error},
        "work_dir": f"{folder}/runner",
        "default_scope": "luss",
        "test_dataloader": {"validation": loader},
        "test_evaluator": metrics,
        "test_cfg": {"type": "SplitsTestLoop"},
        "experiment_name": folder,
    }
    return RUNNERS.build(Config(config)).test()["validation"]


def metric_of(prediction, truth, rank, **options):
    metric = SegmentationMetric(1, **options)
    sample = BaseDataElement(metainfo={"sample_idx": rank, "img_path": f"photo_{rank}.jpg"})
    sample.pred_sem_seg = PixelData(data=torch.tensor([[prediction]]))
    if truth is not None:
        sample.gt_sem_seg = PixelData(data=torch.tensor([[truth]]))
    evaluator = Evaluator(metric)
    evaluator.process([sample])
    return evaluator.evaluate(2)


def outcome(work):
    try:
        return [None, work()]
    except Exception as error:
        return [type(error).__name__, str(error)]


def predict_and_match(rank, folder, root):
    init_default_scope("luss")
    dataset = validation_set(root, f"{folder}/run")
    found = {}
    for name in ERRORS:
        found[f"predict: {name}"] = outcome(
            lambda name=name: predict(dataset, f"{folder}/{name}", error=name)
        )
    found["matched"] = predict(dataset, f"{folder}/good")

    found["metric: a bad image"] = outcome(lambda: metric_of([0, 1 + 6 * rank], [0, 1], rank))
    found["metric: no truth"] = outcome(lambda: metric_of([0, 1], None if rank else [0, 1], rank))
    blocked = f"{folder}/meet/match.json"  # below a file
    found["metric: disk"] = outcome(
        lambda: metric_of(
            [0, 1], [0, 1], rank, matcher={"type": "ImageLevelMatcher"}, match_file=blocked
        )
    )
    found["metric: good"] = outcome(lambda: metric_of([0, 1], [0, 1], rank))
    Path(f"{folder}/{rank}.json").write_text(json.dumps(found))
