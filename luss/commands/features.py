"""``luss features PHOTOS --backbone NAME --weights FILE --out DIR``: write features of photos."""

import argparse

from luss.command_line import leave_on_signals

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = (
    "Write the features of a pretrained backbone for a folder of photos: of complete photos and of "
    "their patches, as .npy files with an index."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the photos, the backbone and the output."""
    parser.add_argument("photos", metavar="PHOTOS", help="a folder of photos, flat or nested")
    parser.add_argument(
        "--backbone",
        required=True,
        metavar="NAME",
        help="a pretrained backbone; luss backbones lists the names",
    )
    parser.add_argument(
        "--weights",
        required=True,
        metavar="FILE",
        help="its weight file; 'hub' lets timm download its own",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="a new output folder")
    parser.add_argument(
        "--size",
        type=int,
        metavar="N",
        help="short side of the photos for the network, in pixels; sides are rounded to multiples "
        "of the backbone's patches (default: 224, rounded)",
    )
    parser.add_argument(
        "--half", action="store_true", help="write features of patches as float16, not float32"
    )


def run(args: argparse.Namespace) -> None:
    """Compute the features, and print what was written."""
    from luss.files import output_folder
    from luss.planning.feature_export import export_features
    from luss.planning.settings import Backbone

    out = output_folder(args.out, "--out")
    leave_on_signals("run the same command again")
    backbone = Backbone(args.backbone, args.weights)
    found = export_features(args.photos, backbone, out, args.size, args.half)
    shapes = ", ".join(
        f"map_{place}.npy {' x '.join(map(str, cells.shape))} at stride {stride}"
        for place, (cells, stride) in enumerate(zip(found.maps, found.strides, strict=True))
    )
    summary = f"{len(found)} photos: features.npy {len(found)} x {found.channels[-1]}, {shapes}"
    if found.unreadable:
        summary += f"; {len(found.unreadable)} photos cannot be read"
    print(f"{summary}; see index.json in {out}")
