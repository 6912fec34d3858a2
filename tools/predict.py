"""Predict masks of any photos with the segmentor of a finished run."""

from luss.commands import run_command

if __name__ == "__main__":
    run_command("predict")
