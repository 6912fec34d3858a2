"""``luss export RUN --out model.onnx``: a segmentor that runs without luss."""

import argparse

from luss.command_line import add_finished_run

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = "Write the segmentor of a finished run as one ONNX file."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the run, the file, and the photos to compare on."""
    add_finished_run(parser)
    parser.add_argument("--out", required=True, metavar="FILE", help="such as model.onnx")
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")
    parser.add_argument(
        "--categories",
        choices=["named", "generated", "true"],
        help="ids and names that the file contains, see luss predict --help",
    )
    parser.add_argument(
        "--photos",
        nargs="+",
        metavar="PHOTO",
        help="photos or folders; the file is compared with PyTorch on up to 16 of them, and on "
        "generated pictures",
    )


def run(args: argparse.Namespace) -> None:
    """Export, and print how well the file agrees with PyTorch."""
    from luss.apis import FinishedRun
    from luss.apis.onnx_export import OPSET, export_onnx
    from luss.files import output_file

    out = output_file(args.out, "--out", args.force)
    found = FinishedRun.read(args.model, args.config)
    agreement = export_onnx(found, out, args.categories, args.photos, args.force)
    name, worst = agreement.worst
    print(
        f"{out}: opset {OPSET}; {100 * agreement.pixels:.3f} % of the pixels of "
        f"{len(agreement.photos)} pictures have PyTorch's ids, {100 * worst:.3f} % in the worst "
        f"picture ({name})"
    )
