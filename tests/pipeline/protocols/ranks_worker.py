"""What each of two processes meets when one of them fails; a module that both can import."""

import datetime
import json
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from mmengine import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope
from mmengine.structures import BaseDataElement, PixelData

from luss.datasets.mask_codec import write_mask
from luss.errors import LussError
from luss.evaluation.counts import Counts
from luss.evaluation.segmentation_metric import SegmentationMetric
from luss.pipeline.context import Context
from luss.pipeline.inference import own_share
from luss.pipeline.protocols.predictions import (
    WHOLE_IMAGE,
    evaluation_set,
    matched_counts,
    predict_split,
)
from luss.pipeline.work_dir import WorkDir

GENERATED, CLASSES = 8, 6
JOINING = np.array([0, 1, 2, 3, 4, 5, 6, 0, 0])


def context_of(root, work_dir):
    init_default_scope("luss")
    config = Config({"data_root": str(root), "num_workers": 0, "stages": {}})
    return Context(config, WorkDir(work_dir))


def draw_ids(item):
    """Generated ids of an image, at its original size, that depend on its name alone."""
    sample = item["data_samples"]
    seed = sum(map(ord, sample.image_id))
    return np.random.default_rng(seed).integers(0, GENERATED + 1, sample.ori_shape[:2])


def predict(context, folder, draw=draw_ids):
    return predict_split(
        context,
        "validation",
        lambda items: [draw(item) for item in items],
        Path(folder),
        pipeline=WHOLE_IMAGE,
        num_generated=GENERATED,
    )


def count_matched(context, folder):
    zeros = Counts.zeros(CLASSES, GENERATED)
    zeros.occurrence += 1
    return matched_counts(context, "validation", Path(folder), zeros, JOINING)


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


def meet(rank, root, folder):
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meet",
        rank=rank,
        world_size=2,
        timeout=datetime.timedelta(seconds=60),
    )
    context = context_of(root, f"{folder}/run")
    dataset = evaluation_set(context, "validation", [])
    names = [dataset.get_data_info(index)["image_id"] for index in own_share(len(dataset))]
    found = {}

    def failing(error):
        def draw(item):
            if rank == 1 and item["data_samples"].image_id == names[2]:
                raise error
            return draw_ids(item)

        return outcome(lambda: predict(context, f"{folder}/bad", draw))

    found["predict: no number"] = failing(LussError("one image is bad"))
    found["predict: a fault of ours"] = failing(ValueError("a bug"))
    counts = predict(context, f"{folder}/good")
    found["predicted"] = counts.confusion.tolist()
    found["matched"] = count_matched(context, f"{folder}/good").confusion.tolist()
    dist.barrier()
    if rank == 1:
        write_mask(f"{folder}/good/{names[0]}.png", np.zeros((2, 3), int))
        Path(f"{folder}/good/{names[1]}.png").write_bytes(b"no PNG")
        found["spoilt"] = names[:2]
    found["match: bad files"] = outcome(lambda: count_matched(context, f"{folder}/good"))

    found["metric: a bad image"] = outcome(lambda: metric_of([0, 1 + 6 * rank], [0, 1], rank))
    found["metric: no truth"] = outcome(lambda: metric_of([0, 1], None if rank else [0, 1], rank))
    # The id that the match joins to 'other' occurs on one rank, under ignored truth.
    options = {"matcher": {"type": "ImageLevelMatcher"}, "num_generated": 2}
    found["metric: left over"] = outcome(
        lambda: metric_of([1, 1 + rank], [1, 1000], rank, **options)
    )
    blocked = f"{folder}/meet/match.json"  # below a file
    found["metric: disk"] = outcome(
        lambda: metric_of(
            [0, 1], [0, 1], rank, matcher={"type": "ImageLevelMatcher"}, match_file=blocked
        )
    )
    found["metric: good"] = outcome(lambda: metric_of([0, 1], [0, 1], rank))
    Path(f"{folder}/{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()
