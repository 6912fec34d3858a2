"""Does pretraining help? The same steps 2 to 4 on a trained and on a random backbone.

Both start from the same weights, seed by seed; only the pretraining stage is left out of one.
Figures: image k-NN (leave-one-out over the training images, by folder name) of the backbone's
pooled last features, the fully unsupervised metrics on validation and test, and the ceiling: the
mIoU of the true validation masks reduced to the last feature map's resolution and back.

    python benchmarks/trained_vs_untrained.py configs/pass/pass_s_demo.py --work-dir work_dirs/demo
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import torch
from mmengine import Config
from nearest_neighbours import leave_one_out_knn

from luss.command_line import exit_cleanly
from luss.configuration import ConfigOptions, read_config
from luss.engine.checkpoint import latest_checkpoint
from luss.engine.inference import load_model, stream
from luss.evaluation.counting import count_image
from luss.evaluation.counts import Counts
from luss.evaluation.metrics import compute_metrics
from luss.files import write_json
from luss.pipeline import Pipeline
from luss.pipeline.context import Context
from luss.pipeline.resolving import resolved_stage, stages_of
from luss.stages import Test

sys.path.append(str(Path(__file__).resolve().parents[1] / "projects"))
from foreground_analysis.ladder import through_grid

STAGE = "pretrain"


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config")
    parser.add_argument("--work-dir", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--cfg-options", nargs="+", action=ConfigOptions)
    parser.add_argument("--variants", nargs="+", default=["untrained", "trained"])
    return parser.parse_args()


def leave_untrained(pipeline: Pipeline, context: Context) -> None:
    """Keep the initial weights as the pretraining stage's output."""
    if pipeline.work_dir.is_done(STAGE):
        return
    runner = resolved_stage(pipeline.stages[STAGE], context).build_runner(context)
    runner._init_model_weights()
    folder = pipeline.work_dir.stage(STAGE)
    state = {key: value.cpu() for key, value in runner.model.state_dict().items()}
    torch.save({"state_dict": state, "meta": {}}, folder / "iter_0.pth")
    pipeline.work_dir.mark_done(STAGE, {"checkpoint": "iter_0.pth", "untrained": True})


@torch.no_grad()
def image_knn(config: Config, context: Context, checkpoint: Path | None = None) -> float:
    """Leave-one-out k-NN accuracy of the pretraining stage's backbone, in percent."""
    loader = config.stages.label_generation.test_dataloader.embedding
    checkpoint = checkpoint or latest_checkpoint(context.work_dir.stage(STAGE))
    model = load_model(config.stages[STAGE].model, checkpoint, context.device)
    dataset = context.dataset({"split": "train", "pipeline": loader.dataset.pipeline})
    normalize = {key: torch.tensor(config[key]).view(-1, 1, 1) for key in ("mean", "std")}
    pooled, labels = [], []
    for batch in stream(dataset, range(len(dataset)), 64, context.num_workers, "k-NN"):
        images = torch.stack([item["inputs"] for item in batch]).float() / 255
        images = ((images - normalize["mean"]) / normalize["std"]).to(context.device)
        pooled.append(model(images)[max(model.stages)].mean(dim=(2, 3)).cpu())
        labels += [item["data_samples"].category - 1 for item in batch]
    return 100 * leave_one_out_knn(torch.cat(pooled), torch.tensor(labels))


@torch.no_grad()
def ceiling(config: Config, context: Context) -> float:
    """Return validation mIoU of true masks at the resolution of the last features, in percent."""
    checkpoint = latest_checkpoint(context.work_dir.stage(STAGE))
    model = load_model(config.stages[STAGE].model, checkpoint, context.device)
    evaluate = resolved_stage(stages_of(context)["evaluate"], context)
    assert isinstance(evaluate, Test), "PASS evaluates by a test"
    dataset = context.dataset(evaluate.loader_of_split(context, "validation")["dataset"])
    classes = context.num_classes
    counts = Counts.zeros(classes, boundary=False)
    for (item,) in stream(dataset, range(len(dataset)), 1, context.num_workers, "ceiling"):
        features = model(item["inputs"][None].float().to(context.device))[max(model.stages)]
        truth = item["data_samples"].gt_sem_seg.data[0].numpy()
        seen = through_grid(truth, tuple(features.shape[-2:]))
        counts.add(count_image(seen, truth, classes, boundary=False))
    return 100 * compute_metrics(counts)["mIoU"]


def run(args: argparse.Namespace, variant: str, seed: int) -> dict[str, float]:
    """All stages of one variant and seed; resumes what was killed."""
    config = read_config(args.config, {**(args.cfg_options or {}), "seed": seed})
    # One drawing of the data for all seeds: only the method's randomness differs.
    if config.data.get("type") == "demo":
        config.data_root = str(Path(args.work_dir) / "data")
    pipeline = Pipeline(config, str(Path(args.work_dir) / f"{variant}-{seed}"))
    context = Context(config, pipeline.work_dir)
    start = time.perf_counter()
    if variant == "untrained":
        pipeline.work_dir.root.mkdir(parents=True, exist_ok=True)
        leave_untrained(pipeline, context)
    pipeline.run(resume=True)
    minutes = (time.perf_counter() - start) / 60
    figures = {"k-NN": image_knn(config, context)}
    results = json.loads((pipeline.work_dir.root / "results.json").read_text())
    for split, metrics in results["fully_unsupervised"].items():
        for name in ("mIoU", "Img-Acc", "F_beta"):
            figures[f"{split} {name}"] = metrics[name]
    figures["ceiling"] = ceiling(config, context)
    return {**figures, "minutes": minutes}


def main() -> None:
    args = parse_args()
    runs = [(variant, seed) for seed in args.seeds for variant in args.variants]
    found = {f"{variant}-{seed}": run(args, variant, seed) for variant, seed in runs}
    write_json(Path(args.work_dir) / "trained_vs_untrained.json", found)

    names = list(next(iter(found.values())))
    print(f"{'':16}" + "".join(f"{name:>14}" for name in names))
    for which, figures in found.items():
        print(f"{which:16}" + "".join(f"{figures[name]:14.2f}" for name in names))
    if len(args.variants) == 2 and len(args.seeds) > 1:
        print("\ntrained - untrained, paired by seed: mean, standard deviation")
        first, second = args.variants
        for name in names[: names.index("ceiling")]:
            gaps = [found[f"{second}-{s}"][name] - found[f"{first}-{s}"][name] for s in args.seeds]
            print(f"{name:16}{statistics.mean(gaps):8.2f}{statistics.stdev(gaps):8.2f}")


if __name__ == "__main__":
    with exit_cleanly():
        main()
