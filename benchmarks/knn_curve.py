r"""Image k-NN against image views: what each checkpoint of a pretraining stage has learnt.

Keep the checkpoints with ``default_hooks.checkpoint.max_keep_ckpts=-1``, then:

    python benchmarks/knn_curve.py configs/pass/pass_s_photos.py WORK_DIR/pretrain/iter_*.pth \
        --cfg-options data_root=DIR
"""

import argparse
from pathlib import Path

from trained_vs_untrained import STAGE, image_knn

from luss.command_line import exit_cleanly
from luss.configuration import ConfigOptions, read_config
from luss.engine.checkpoint import load
from luss.pipeline.context import Context
from luss.pipeline.work_dir import WorkDir


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config")
    parser.add_argument("checkpoints", nargs="+", type=Path)
    parser.add_argument("--cfg-options", nargs="+", action=ConfigOptions)
    args = parser.parse_args()

    config = read_config(args.config, args.cfg_options)
    context = Context(config, WorkDir(args.checkpoints[0].parent))
    batch_size = config.stages[STAGE].train_dataloader.batch_size
    steps = {path: load(path)["meta"].get("iter", 0) for path in args.checkpoints}
    print(f"{'image views':>12}{'k-NN, %':>10}")
    for path in sorted(steps, key=steps.get):
        print(f"{steps[path] * batch_size:12}{image_knn(config, context, path):10.2f}", flush=True)


if __name__ == "__main__":
    with exit_cleanly():
        main()
