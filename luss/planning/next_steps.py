"""What a finished run leaves its user to look at, and what comes next."""

from pathlib import Path

__all__ = ["next_steps"]


def next_steps(folder: Path) -> str:
    """Where report and masks of a whole run lie, and the commands that go on from it.

    Args:
        folder: the work dir.
    """
    return (
        f"Report: {folder / 'report' / 'index.html'}\n"
        f"Masks of these photos: {folder / 'evaluate' / 'predictions'}\n"
        f"Next: luss name-categories {folder} shows each category, for you to name it\n"
        f"      luss predict {folder} NEW_PHOTOS --out found labels other photos"
    )
