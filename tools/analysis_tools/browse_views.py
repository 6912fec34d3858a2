"""Draw the views that a stage trains on, with their geometry."""

import argparse

from luss.command_line import exit_cleanly
from luss.commands import browse_views


def main() -> None:
    parser = argparse.ArgumentParser(description=browse_views.DESCRIPTION)
    browse_views.add_arguments(parser)
    browse_views.run(parser.parse_args())


if __name__ == "__main__":
    with exit_cleanly():
        main()
