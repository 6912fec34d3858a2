"""Seeds that depend only on numbers such as seed, epoch and index."""

import numpy as np

__all__ = ["mix_seed"]


def mix_seed(*numbers: int) -> int:
    """Mix non-negative integers, such as (seed, epoch, index), into one seed.

    Returns:
        An integer in [0, 2^32), different and unrelated for different numbers.
    """
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
