"""Draw the built-in demo data, a small ImageNet-S split root, from a seed."""

import argparse

from luss.command_line import exit_cleanly


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", help="folder of the data; left alone if it holds them already")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", type=int, default=200, help="training pictures a category")
    parser.add_argument("--train-semi", type=int, default=10, help="of these with a mask")
    parser.add_argument("--validation", type=int, default=40, help="validation pictures a category")
    parser.add_argument("--test", type=int, default=40, help="test pictures a category")
    parser.add_argument("--size", type=int, default=96, help="side of a picture in pixels")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from luss.datasets.demo_shapes import draw_demo_data
    from luss.files import output_folder

    args.root = output_folder(args.root, "ROOT")
    print(draw_demo_data(**vars(args)))


if __name__ == "__main__":
    with exit_cleanly():
        main()
