"""Turn checkpoints of the released PASS, of torchvision and of mmcls into ours, and back."""

import argparse

from luss.command_line import exit_cleanly


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="The layout of FILE is detected from its names. See docs/weights.md for how to use "
        "the result.",
    )
    parser.add_argument("file", metavar="FILE", help="checkpoint; for centroids, .npy or .npz")
    parser.add_argument(
        "--to", required=True, choices=["luss", "authors", "torchvision", "mmcls"], help="target"
    )
    parser.add_argument(
        "--kind",
        default="pretrained",
        choices=["pretrained", "pixel_attention", "centroids", "finetuned"],
        help="which step of PASS wrote it (default: pretrained, as for all other ResNets)",
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="the file to write")
    parser.add_argument("--force", action="store_true", help="replace --out if it exists")
    parser.add_argument(
        "--queue-length",
        type=int,
        metavar="N",
        help="of pixel attention to luss: the queue_length of its config (default: 3840, as in "
        "configs/pass/pass_s_in*.py)",
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from luss.engine.convert_checkpoint import convert_checkpoint

    for sentence in convert_checkpoint(
        args.file,
        args.out,
        to=args.to,
        kind=args.kind,
        queue_length=args.queue_length,
        replace=args.force,
    ):
        print(sentence)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    with exit_cleanly():
        main()
