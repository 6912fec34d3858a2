"""Outputs of a finished run, and the next commands."""

from pathlib import Path

from luss.pipeline.work_dir import WorkDir

__all__ = ["next_steps"]


def next_steps(folder: Path) -> str:
    """Return the paths of a finished run's report and masks, and the next commands.

    Args:
        folder: the work dir.
    """
    outputs = WorkDir(folder).outputs()
    shown = {"Report": "page", "Masks of these photos": "predictions"}
    found = [f"{name}: {outputs[role]}\n" for name, role in shown.items() if role in outputs]
    return (
        f"{''.join(found)}"
        f"Next: luss name-categories {folder} to see each category and name it\n"
        f"      luss predict {folder} NEW_PHOTOS --out found to segment other photos"
    )
