"""Read all photos and masks of a folder; report problems and what train would do."""

from luss.commands import run_command

if __name__ == "__main__":
    run_command("check")
