"""Colours for classes in pictures."""

import colorsys

__all__ = ["make_palette"]

_GOLDEN_RATIO = 0.618033988749895
_SATURATIONS = (0.9, 0.55, 0.75)
_VALUES = (0.95, 0.7, 0.85, 0.5)


def make_palette(num_classes: int) -> list[list[int]]:
    """Return the same colours in every run; neighbouring ids differ most in hue.

    Args:
        num_classes: C, without 'other', up to 999.

    Returns:
        C + 1 distinct [R, G, B] from 0 to 255; the first, of 'other', is black.
    """
    palette = [[0, 0, 0]]
    for index in range(num_classes):
        colour = colorsys.hsv_to_rgb(
            index * _GOLDEN_RATIO % 1,
            _SATURATIONS[index % len(_SATURATIONS)],
            _VALUES[index % len(_VALUES)],
        )
        palette.append([round(255 * part) for part in colour])
    return palette
