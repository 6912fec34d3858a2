"""Plot losses, rates and other scalars of one or more runs."""

import argparse

from luss.command_line import exit_cleanly
from luss.commands import plot_logs


def main() -> None:
    parser = argparse.ArgumentParser(description=plot_logs.DESCRIPTION)
    plot_logs.add_arguments(parser)
    plot_logs.run(parser.parse_args())


if __name__ == "__main__":
    with exit_cleanly():
        main()
