"""Plot losses, rates and other scalars of one or more runs."""

from luss.commands import run_command

if __name__ == "__main__":
    run_command("plot-logs")
