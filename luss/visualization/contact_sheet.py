"""Contact sheets: many small pictures in one, under headings."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = ["contact_sheet"]

_GAP = 6
_LINE = 30
_TEXT = 18
_PAPER, _INK = (250, 250, 249), (30, 34, 39)
_COLUMNS = 8


def contact_sheet(
    parts: Sequence[tuple[str, Sequence[NDArray[np.uint8]]]],
    side: int,
    columns: int = _COLUMNS,
) -> NDArray[np.uint8]:
    """Arrange pictures in rows of squares, under headings.

    Args:
        parts: a heading and its pictures (h, w, 3) uint8 RGB, with sides of at most ``side``; a
            part may have no pictures.
        side: of the squares, in pixels.
        columns: pictures per row.

    Returns:
        (H, W, 3) uint8 RGB; W depends only on ``side`` and ``columns``.
    """
    step = side + _GAP
    rows = [-(-len(pictures) // columns) for _, pictures in parts]
    height = sum(_LINE + count * step for count in rows) + _GAP
    sheet = np.full((height, columns * step + _GAP, 3), _PAPER, np.uint8)
    tops = []
    top = 0
    for count, (_, pictures) in zip(rows, parts, strict=True):
        tops.append(top)
        for place, picture in enumerate(pictures):
            row, column = divmod(place, columns)
            h, w = picture.shape[:2]
            y = top + _LINE + row * step + (side - h) // 2
            x = _GAP + column * step + (side - w) // 2
            sheet[y : y + h, x : x + w] = picture
        top += _LINE + count * step
    image = Image.fromarray(sheet)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(_TEXT)
    for top, (heading, _) in zip(tops, parts, strict=True):
        draw.text((_GAP, top + (_LINE - _TEXT) // 2), heading, fill=_INK, font=font)
    return np.asarray(image)
