"""Run configs with several seeds and settings, and tabulate means and deviations.

Each run is a separate process of tools/train.py in DIR/<config>[_<settings>]/seed_<n>. The same
command resumes; see docs/sweeps.md.
"""

import argparse
import sys
from pathlib import Path

from luss.command_line import exit_cleanly

# The project stands beside this folder, in a checkout and in the wheel.
sys.path.append(str(Path(__file__).resolve().parents[1] / "projects"))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("configs", nargs="+", metavar="CONFIG", help="path of a config file")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="default: 0 1 2")
    parser.add_argument(
        "--set",
        nargs="*",
        action="append",
        metavar="KEY=VALUE",
        help="run the configs with these settings, read as --cfg-options are. A key with several "
        "values (k=1 k=2) takes each in turn, several such keys all combinations. Repeat --set "
        "for further variants; --set alone is the configs as they are",
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="settings of all runs, such as data_root=DIR",
    )
    parser.add_argument("--work-dir", default="work_dirs/sweep", help="default: work_dirs/sweep")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time (default: 1)")
    parser.add_argument(
        "--protocol",
        nargs="+",
        metavar="NAME",
        help="tabulate these, and evaluate those that training does not, as tools/test.py does "
        "(default: all that the runs have)",
    )
    parser.add_argument(
        "--only-tables", action="store_true", help="start no runs, tabulate the finished ones"
    )
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    from luss.errors import LussError
    from luss.files import output_folder
    from sweeps import Sweep, expand_settings, plan_runs, visible_devices

    output_folder(args.work_dir, "--work-dir")
    settings = [chosen for texts in args.set or [[]] for chosen in expand_settings(texts)]
    runs = plan_runs(args.configs, args.seeds, settings, args.cfg_options, args.work_dir)
    tools = Path(__file__).resolve().parent
    sweep = Sweep(runs, args.work_dir, tools, sys.executable, args.protocol)
    if not args.only_tables:
        number = sweep.run(args.jobs, visible_devices() if args.jobs > 1 else ())
        if number is not None:
            print("stopped; run the same command to resume", file=sys.stderr, flush=True)
            return 128 + number
    print(f"\n{sweep.write()}\nwritten to {sweep.folder}: sweep.md, sweep.json, sweep_*.png")
    if sweep.problems and not args.only_tables:
        raise LussError(
            f"{len(sweep.problems)} of {len(runs)} runs are not in the tables:\n"
            + "\n".join(f"  {name}: {why}" for name, why in sweep.problems.items())
        )
    return 0


if __name__ == "__main__":
    with exit_cleanly():
        code = main()
    sys.exit(code)
