"""Count parameters and multiply-adds of the models of a config."""

import argparse

from luss.command_line import exit_cleanly
from luss.commands import count_flops


def main() -> None:
    parser = argparse.ArgumentParser(description=count_flops.DESCRIPTION)
    count_flops.add_arguments(parser)
    count_flops.run(parser.parse_args())


if __name__ == "__main__":
    with exit_cleanly():
        main()
