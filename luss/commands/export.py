"""``luss export RUN --out model.onnx``: a segmentor that runs without luss."""

import argparse

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = "Write the segmentor of a finished run as one ONNX file."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the run, the file, and what it is compared on."""
    parser.add_argument("model", metavar="RUN", help="a finished work dir, or a checkpoint of one")
    parser.add_argument("--out", required=True, metavar="FILE", help="such as model.onnx")
    parser.add_argument("--force", action="store_true", help="replace FILE where it exists")
    parser.add_argument(
        "--config", help="of the run, for a checkpoint that does not lie in its work dir"
    )
    parser.add_argument(
        "--categories",
        choices=["named", "generated", "true"],
        help="which ids and names the file gives, as of predict",
    )
    parser.add_argument(
        "--photos",
        nargs="+",
        metavar="PHOTO",
        help="photos, or folders of them, to compare with PyTorch on, besides drawn pictures; at "
        "most 16 are taken",
    )


def run(args: argparse.Namespace) -> None:
    """Export, and say how well the file agrees with PyTorch."""
    from luss.apis import FinishedRun
    from luss.apis.onnx_export import OPSET, export_onnx
    from luss.files import output_file

    out = output_file(args.out, "--out", args.force)
    found = FinishedRun.read(args.model, args.config)
    agreement = export_onnx(found, out, args.categories, args.photos, args.force)
    name, worst = agreement.worst
    print(
        f"{out}: opset {OPSET}; ids as PyTorch's in {100 * agreement.pixels:.3f} % of the "
        f"pixels of {len(agreement.photos)} pictures, {100 * worst:.3f} % in the worst ({name})"
    )
