"""Time a pretraining step in float32 and in bfloat16 on this machine's CPU, in one thread.

    OMP_NUM_THREADS=1 python benchmarks/bench_bf16.py [CONFIG] [--steps N] [--out FILE.json]

The step is that of the config's pretraining stage: its model, views, batch size and optimizer,
forward, backward and update, on photos of noise; colours are changed, nothing is read from disk.
Steps of both kinds alternate, and the median of each is printed, to reduce the effect of other work
on the machine.
"""

import argparse
import copy
import json
import statistics
import time
from pathlib import Path

import torch
from mmengine import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from torch import nn

from luss.configuration import read_config
from luss.engine.optimizers import cpu_has_bf16_units
from luss.evaluation.provenance import describe_machine
from luss.files import output_file, write_json
from luss.models.objectives import Clustering
from luss.registry import MODELS, OPTIM_WRAPPERS, OPTIMIZERS

PHOTOS = Path(__file__).resolve().parents[1] / "configs/pass/pass_s_photos.py"
_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16")


def batch_of(stage: Config) -> dict:
    """Return views of random photos, in [0, 255], with random crops."""
    size, generator = stage.train_dataloader.batch_size, torch.Generator().manual_seed(0)
    crop = next(s for s in stage.train_dataloader.dataset.pipeline if s.type == "MultiCrop")
    shapes = [view["size"] for view in crop["views"] for _ in range(view["count"])]
    inputs = [
        torch.randint(0, 256, (size, 3, side, side), generator=generator, dtype=torch.uint8)
        for side in shapes
    ]
    corners = torch.rand(size, len(shapes), 2, generator=generator) * 32
    sides = torch.full((size, len(shapes), 2), 64.0)
    flips = torch.zeros(size, len(shapes), 1)
    return {"inputs": inputs, "geometry": torch.cat([corners, sides, flips], dim=2)}


def stepper(model: nn.Module, stage: Config, batch: dict, mixed: bool):
    """Return a function that runs one step and returns the loss."""
    optimizer = OPTIMIZERS.build({"params": model.parameters(), **stage.optim_wrapper.optimizer})
    wrapper = {"type": "OptimWrapper", "optimizer": optimizer}
    if mixed:
        wrapper = {"type": "AmpOptimWrapper", "optimizer": optimizer, "dtype": "bfloat16"}
    wrapper = OPTIM_WRAPPERS.build(wrapper)
    for part in model.modules():
        if isinstance(part, Clustering):
            part.set_progress(10**6, 10**9)

    def step() -> float:
        return float(model.train_step(copy.deepcopy(batch), wrapper)["loss"])

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", default=str(PHOTOS))
    parser.add_argument("--steps", type=int, default=10, help="of each kind, after two to warm up")
    parser.add_argument("--out", help="JSON file to write")
    args = parser.parse_args()
    if args.out:
        output_file(args.out, "--out", replace=True)

    torch.set_num_threads(1)
    # MMEngine would tell how each weight was drawn.
    MMLogger.get_instance("bench_bf16", log_level="WARNING")
    stage = read_config(args.config).stages.pretrain
    init_default_scope("luss")
    torch.manual_seed(0)
    model = MODELS.build(stage.model)
    model.init_weights()
    batch = batch_of(stage)
    steps = {
        name: stepper(copy.deepcopy(model).train(), stage, batch, name == "bfloat16")
        for name in ("float32", "bfloat16")
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    losses: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(args.steps + 2):
        for name, step in steps.items():
            begin = time.process_time()
            loss = step()
            if number >= 2:
                seconds[name].append(time.process_time() - begin)
            losses[name].append(loss)
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text().split() if cpuinfo.exists() else []
    found = {
        "config": Path(args.config).name,
        "batch_size": stage.train_dataloader.batch_size,
        "machine": describe_machine(),
        "flags": [flag for flag in _FLAGS if flag in flags],
        "has_bf16_units": cpu_has_bf16_units(),
        "steps": args.steps,
        "median_seconds": medians,
        "faster": medians["float32"] / medians["bfloat16"],
        "last_loss": {name: values[-1] for name, values in losses.items()},
    }
    print(json.dumps(found, indent=2))
    if args.out:
        write_json(Path(args.out), found)


if __name__ == "__main__":
    main()
