"""What two processes find of maps of which each has a half."""

from pathlib import Path

import torch

from c2am.trainer import lead_at_frame


def draw():
    """Maps (4, 1, 3, 5), and shares of the frame that differ much between the halves."""
    generator = torch.Generator().manual_seed(0)
    activation, shares = torch.rand(2, 4, 1, 3, 5, generator=generator)
    shares[2:] *= 0.1
    return activation, shares


def find_lead(rank: int, folder: str) -> None:
    """One of two processes; writes what it found."""
    half = slice(2 * rank, 2 * rank + 2)
    activation, shares = draw()
    found = lead_at_frame(activation[half], shares[half], torch.tensor(0.0))
    torch.save(found, Path(folder) / f"{rank}.pth")
