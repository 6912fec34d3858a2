"""What a finished run leaves its user to look at, and what comes next."""

from pathlib import Path

from luss.pipeline.work_dir import WorkDir

__all__ = ["next_steps"]


def next_steps(folder: Path) -> str:
    """Return where report and masks of a finished run are, and the commands that come next.

    Args:
        folder: the work dir.
    """
    outputs = WorkDir(folder).outputs()
    shown = {"Report": "page", "Masks of these photos": "predictions"}
    found = [f"{name}: {outputs[role]}\n" for name, role in shown.items() if role in outputs]
    return (
        f"{''.join(found)}"
        f"Next: luss name-categories {folder} shows each category, for you to name it\n"
        f"      luss predict {folder} NEW_PHOTOS --out found labels other photos"
    )
