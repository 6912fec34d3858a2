"""Seeds that depend only on numbers such as seed, epoch and index."""

import numpy as np

__all__ = ["mix_seed", "seed_words"]


def seed_words(count: int, *numbers: int) -> np.ndarray:
    """Mix non-negative integers, such as (seed, epoch, index), into random words.

    Returns:
        (count,) uint32, different and unrelated for different numbers.
    """
    return np.random.SeedSequence(numbers).generate_state(count)


def mix_seed(*numbers: int) -> int:
    """Return the first of :func:`seed_words` as an integer in [0, 2^32)."""
    return int(seed_words(1, *numbers)[0])
