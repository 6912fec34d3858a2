"""A pipeline that runs in seconds, and what it left in its work dir."""

import json
from pathlib import Path

import numpy as np
import torch
from mmengine import Config
from mmengine.hooks import Hook
from processes import Command
from states import flatten

from luss.configuration import read_config
from luss.pipeline import Pipeline
from luss.registry import HOOKS, RUNNERS

REPOSITORY = Path(__file__).resolve().parents[2]
TINY = Path(__file__).with_name("tiny_pass_s.py")
TRAINED = ("pretrain", "pixel_attention", "finetune")


def read_tiny(**options):
    """The tiny config, with options whose dots are written as two underscores.

    Without the report, whose drawings take longer than all else.
    """
    dotted = {key.replace("__", "."): value for key, value in options.items()}
    config = read_config(TINY, {"num_workers": 0, **dotted})
    config.stages.pop("report")
    return config


def evaluation_of_labels(**options):
    """The stage that evaluates the labels of `read_tiny` as a segmentor's predictions."""
    return labels_evaluated(read_tiny(**options).stages.to_dict())


def labels_evaluated(stages):
    """The same of any stages."""
    labels, evaluate = stages["label_generation"], stages["evaluate"]
    model = {
        "type": "PixelLabeller",
        "model": "${label_generation.model}",
        "centroids": "${label_generation.clustering}",
        "threshold": "${label_generation.threshold}",
        "foreground": labels["test_cfg"]["foreground"],
        "rule": labels["test_cfg"]["threshold"],
        "writer": labels["test_cfg"]["writer"],
    }
    return {
        **evaluate,
        "after": "label_generation",
        "protocol": {**evaluate["protocol"], "type": "BeforeFineTuning"},
        "model": model,
        "checkpoint": labels["checkpoint"],
        "data_preprocessor": labels["data_preprocessor"],
    }


def run_tiny(work_dir, only=None, resume=False, **options):
    Pipeline(read_tiny(**options), str(work_dir)).run(only, resume)
    return Path(work_dir)


def start(tool, *arguments, environment=(), **options):
    """Start a command line of ``tools/``; see `Command`."""
    if options:
        arguments += ("--cfg-options", *(f"{k.replace('__', '.')}={v}" for k, v in options.items()))
    return Command(f"tools/{tool}", *arguments, environment=environment)


def finish(process, timeout=300):
    """Wait for a command line; return its exit code and its output."""
    output, _ = process.communicate(timeout)
    return process.returncode, output


def predict_train(path):
    """Predict the training photos by the config of a protocol's stage; the folder of the masks."""
    config = Config.fromfile(path)
    loader = config.test_dataloader["validation"]
    loader.dataset.update(split="train", require_masks=False, photo_list="")
    config.test_dataloader = {"train": loader}
    folder = Path(path).parents[1] / "again"
    config.test_evaluator = {"train": [{"type": "DumpMasks", "folder": str(folder)}]}
    config.update(work_dir=str(folder), experiment_name=str(folder), run_log=None)
    RUNNERS.build(config).test()
    return folder


def outcome(work_dir):
    """Everything that a run computed, by name: tensors, arrays and bytes."""
    root = Path(work_dir)
    found = {}
    for stage in TRAINED:
        facts = json.loads((root / stage / "done.json").read_text())
        path = root / stage / facts["checkpoint"]
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        for part in ("state_dict", "optimizer", "param_schedulers"):
            found |= flatten(checkpoint[part], f"{stage}.{part}")
    labels = root / "label_generation"
    found["embeddings"] = np.load(labels / "embeddings.npy")
    with np.load(labels / "centroids.npz") as arrays:
        found |= {f"centroids.{name}": value for name, value in arrays.items()}
    masks = [*labels.glob("pseudo_labels/*/*.png"), *root.glob("evaluate/predictions/**/*.png")]
    texts = [labels / "threshold.json", root / "evaluate" / "match.json"]
    found |= {str(path.relative_to(root)): path.read_bytes() for path in [*masks, *texts]}
    results = json.loads((root / "results.json").read_text())
    # The hook that brings faults about is a part of its run's config; demo data are drawn into
    # the work dir.
    results["provenance"].pop("config_hash")
    results["provenance"].pop("data_root", None)
    return found | flatten(results, "results")


@HOOKS.register_module(force=True)
class FaultHook(Hook):
    """Runs ``FaultHook.plan(runner)`` before each iteration is noted as done."""

    priority = "NORMAL"
    plan = None

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if FaultHook.plan is not None:
            FaultHook.plan(runner)


FAULTY = {
    "stages__pretrain__custom_hooks": [
        {"type": "ClusteringHook"},
        {"type": "CollapseHook"},
        {"type": "FaultHook"},
    ],
    "stages__pixel_attention__custom_hooks": [{"type": "ClusteringHook"}, {"type": "FaultHook"}],
    "stages__finetune__custom_hooks": [{"type": "FaultHook"}],
}
"""Options that put the hook into every stage that trains."""
