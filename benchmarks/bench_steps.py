"""Print the processor time of training steps of finished stages, in one thread.

    OMP_NUM_THREADS=1 python benchmarks/bench_steps.py WORK_DIR/finetune/config.py ... [--steps N]

For each config, the batches are loaded in this process, and the model is trained on them from its
initial weights; nothing is written. The median of the steps is printed: of loading and of training.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
from mmengine import Config

import luss.stages  # noqa: F401 -- registers all parts
from luss.files import temporary_folder
from luss.registry import RUNNERS


def seconds_of(path: Path, steps: int) -> tuple[float, float]:
    """Return the median seconds of loading a batch and of training on it."""
    config = Config.fromfile(path)
    config.update(run_log=None, log_level="ERROR", load_from=None, resume=False)
    config.train_dataloader.update(num_workers=0, persistent_workers=False)
    with temporary_folder() as folder:
        config.update(work_dir=folder, experiment_name=folder)
        runner = RUNNERS.build(config)
        loop = runner.build_train_loop(config.train_cfg)
        optim_wrapper = runner.build_optim_wrapper(config.optim_wrapper)
        runner.model.train()
        loading, training = [], []
        for step in range(steps):
            size, data = loop.dataloader.batch_size, loop.dataloader.dataset
            start = time.process_time()
            samples = [data[(step * size + place) % len(data)] for place in range(size)]
            batch = loop.dataloader.collate_fn(samples)
            loading.append(time.process_time() - start)
            start = time.process_time()
            runner.model.train_step(batch, optim_wrapper)
            training.append(time.process_time() - start)
    return statistics.median(loading), statistics.median(training)


def main() -> None:
    """Time the steps of each config."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("configs", nargs="+", type=Path, help="config.py of stages that train")
    parser.add_argument("--steps", type=int, default=12, help="of each config (default: 12)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for path in args.configs:
        loading, training = seconds_of(path, args.steps)
        print(f"{path}: loading a batch {loading:.3f} s, training on it {training:.3f} s")


if __name__ == "__main__":
    main()
