"""Print the whole runner configuration of stages, without running them."""

import argparse

from luss.command_line import exit_cleanly
from luss.commands import print_config


def main() -> None:
    parser = argparse.ArgumentParser(description=print_config.DESCRIPTION)
    print_config.add_arguments(parser)
    print_config.run(parser.parse_args())


if __name__ == "__main__":
    with exit_cleanly():
        main()
