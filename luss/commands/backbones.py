"""``luss backbones``: list pretrained backbones, those that a file fits, or the settings of one."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from luss.errors import LussError

if TYPE_CHECKING:
    from luss.models.backbones.presets import Preset

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = (
    "List the pretrained backbones with presets. With a weight file, list those that it fits; with "
    "a name, print the settings of this backbone for a config. Nothing is downloaded."
)

_NEAREST = 3
_SUFFIXES = (".pth", ".pt", ".tar", ".bin", ".safetensors")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the file or name."""
    parser.add_argument(
        "what",
        nargs="?",
        metavar="FILE_OR_NAME",
        help="a weight file, of which only tensors are read, or the name of a backbone, such as "
        "dinov2_vits14 or timm:resnet18",
    )


def run(args: argparse.Namespace) -> None:
    """Print a table of backbones, or the settings of one.

    Raises:
        LussError: if there is no such backbone or file, or the file has other content than tensors.
    """
    from luss.models.backbones.presets import PRESETS, TIMM_PREFIX, find_preset

    if args.what is None:
        _print_table((name, preset, "") for name, preset in PRESETS.items())
        print(
            f"{TIMM_PREFIX}NAME is any network of the package timm, with timm's file. 'size' is "
            "the side of the images of the training in pixels; both sides of all images must be "
            "divisible by 'multiple'. luss backbones NAME prints the settings for a config."
        )
        return
    path = Path(args.what).expanduser()
    if path.is_file():
        _print_fits(path)
    elif path.suffix in _SUFFIXES or path.parent != Path():
        raise LussError(f"there is no weight file {path}; correct its path")
    else:
        _print_settings(args.what, find_preset(args.what))


def _print_fits(path: Path) -> None:
    from luss.engine.checkpoint import load
    from luss.models.backbones.presets import fitting_presets, is_installed

    fits = fitting_presets(load(path), str(path))
    exact = [fit for fit in fits if fit.share == 1]
    if shown := exact or fits[:_NEAREST]:
        _print_table((fit.name, fit.preset, f"{fit.share:.1%}") for fit in shown)
    if len(exact) > 1:
        print("Files of these backbones have equal tensors. First: the most similar file name.")
    if not exact:
        shares = "; the table shows the nearest by share of equal names and shapes" if fits else ""
        print(f"{path} fits no backbone{shares}.")
    if not is_installed("timm"):
        print("Networks of timm were not compared, because it is not installed (pip install timm).")


def _print_settings(name: str, preset: "Preset") -> None:
    from luss.models.backbones.presets import backbone_settings

    settings = backbone_settings(name, "FILE")
    labels = {True: "with image labels", False: "without image labels", None: "labels unknown"}
    print(f"# {preset.network}: {preset.trained}, {labels[settings.pop('labels')]}")
    print(f"# {preset.file} of {preset.source}, licence {preset.licence}")
    print(f"# In a config, backbone = dict(preset={name!r}, weights='FILE') stands for:")
    for key, value in settings.items():
        print(f"{key} = {value!r}")


def _print_table(rows: Iterable[tuple[str, "Preset", str]]) -> None:
    from prettytable import PrettyTable

    rows = list(rows)
    titles = ["name", "network", "training", "image labels", "size", "multiple", "needs"]
    has_fit = any(fit for _, _, fit in rows)
    table = PrettyTable([*titles, "fit"] if has_fit else titles)
    table.align = "l"
    table.align["size"] = table.align["multiple"] = table.align["fit"] = "r"
    for name, preset, fit in rows:
        labels = {True: "yes", False: "no", None: "unknown"}[preset.labels]
        row = [name, preset.network, preset.trained, labels, preset.size, preset.multiple]
        row.append(preset.needs or "")
        table.add_row([*row, fit] if has_fit else row)
    print(table)
