"""Draw the views that a stage trains on, with their geometry."""

from luss.commands import run_command

if __name__ == "__main__":
    run_command("browse-views")
