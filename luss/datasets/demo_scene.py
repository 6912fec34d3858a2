"""Pictures of the demo data, whose categories differ in contour and texture, never in colour.

All colours come from one distribution that does not depend on the category. Only objects have
texture, backgrounds have none.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from luss.datasets.mask_codec import IGNORE_ID

__all__ = ["CATEGORIES", "draw_scene"]

Field = NDArray[np.float32]

# Pictures are painted at twice their size and reduced by area, which smooths all edges.
_OVERSAMPLING = 2


def _polygon(corners: int, inner: float | None = None) -> NDArray[np.complex128]:
    """Return the corners of a regular polygon, or of a star with inner radius ``inner``."""
    radii = np.ones(corners) if inner is None else np.resize([1.0, inner], 2 * corners)
    return radii * np.exp(2j * np.pi * np.arange(len(radii)) / len(radii))


def _curve(lobe: float = 0.0) -> NDArray[np.complex128]:
    """Return the corners of a circle, or of a flower with four petals."""
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    return (1 + lobe * np.cos(4 * angle)) * np.exp(1j * angle)


def _stripes(u: Field, v: Field, period: float, rng: np.random.Generator) -> Field:
    return np.floor(2 * u / period) % 2


def _checkerboard(u: Field, v: Field, period: float, rng: np.random.Generator) -> Field:
    return (np.floor(2 * u / period) + np.floor(2 * v / period)) % 2


def _dots(u: Field, v: Field, period: float, rng: np.random.Generator) -> Field:
    row = np.floor(v / (0.87 * period))
    across = (u / period + 0.5 * (row % 2)) % 1 - 0.5
    along = (v / (0.87 * period)) % 1 - 0.5
    return (np.hypot(across, 0.87 * along) < 0.32).astype(np.float32)


def _rings(u: Field, v: Field, period: float, rng: np.random.Generator) -> Field:
    return np.floor(2 * np.hypot(u, v) / period) % 2


def _spokes(u: Field, v: Field, period: float, rng: np.random.Generator) -> Field:
    return np.floor(16 * (np.arctan2(v, u) / (2 * np.pi) + 0.5)) % 2


def _speckle(u: Field, v: Field, period: float, rng: np.random.Generator) -> Field:
    noise = rng.standard_normal(u.shape, np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 0.14 * period * _OVERSAMPLING)
    return (smooth > 0).astype(np.float32)


@dataclass(frozen=True)
class Category:
    """Contour and texture of a category.

    Attributes:
        contour: (P,) complex corners; each ray from the origin crosses the contour once.
        texture: function of (u, v, period, generator) that returns 0 or 1, the index of the
            object's colour at each point. u, v are pixels in the object's frame.
        period: of the texture, in pixels of a picture of side 96. Textures also differ in scale,
            so that a small network learns them within minutes.
    """

    contour: NDArray[np.complex128]
    texture: Callable[[Field, Field, float, np.random.Generator], Field]
    period: float


CATEGORIES: dict[str, Category] = {
    "checkerboard_square": Category(_polygon(4), _checkerboard, 18.0),
    "dotted_hexagon": Category(_polygon(6), _dots, 14.0),
    "ringed_disc": Category(_curve(), _rings, 14.0),
    "speckled_flower": Category(_curve(lobe=0.22), _speckle, 3.5),
    "spoked_star": Category(_polygon(5, inner=0.6), _spokes, 9.0),
    "striped_triangle": Category(_polygon(3), _stripes, 8.0),
}


def draw_scene(
    category: int, size: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Draw a picture with a main object of a given category.

    One picture in six also contains a smaller object of another category. In one of four, an
    untextured polygon covers part of an object's rim; these pixels are 'ignore' in the mask.

    Args:
        category: main object's category, 1..C, in the order of ``CATEGORIES``.
        size: side of the picture in pixels.
        rng: random generator.

    Returns:
        The picture, (size, size, 3) uint8 RGB, and its mask, (size, size) int32 class ids.
    """
    side = size * _OVERSAMPLING
    picture = _surroundings(side, rng)
    mask = np.zeros((size, size), np.int32)
    others = [other for other in range(1, len(CATEGORIES) + 1) if other != category]
    if rng.random() < 1 / 6:
        objects = [
            (category, rng.uniform(0.16, 0.3)),
            (rng.choice(others), rng.uniform(0.09, 0.14)),
        ]
    else:
        objects = [(category, rng.uniform(0.2, 0.5))]
    for member, area in objects:
        inside = _object(picture, list(CATEGORIES.values())[member - 1], area, mask, rng)
        mask[_reduce(inside) >= 0.5] = member
    if rng.random() < 1 / 4:
        covered = _reduce(_cover_rim(picture, mask, rng)) >= 0.5
        mask[covered & (mask > 0)] = IGNORE_ID

    across, down = rng.uniform(-0.2, 0.2, 2)
    x, y = np.meshgrid(*[np.linspace(-1, 1, size)] * 2)
    reduced = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    small = np.asarray(reduced, picture.dtype)
    small *= (1 + across * x + down * y)[..., None]
    small += rng.normal(0, 3, small.shape)
    return small.round().clip(0, 255).astype(np.uint8), mask


def _two_colours(rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw (2, 3) RGB from 0 to 255; the two differ in brightness and are exchangeable.

    Colours are muted, so that they hardly identify the picture that a view comes from.
    """
    while True:
        pair = rng.uniform(45, 210, (2, 1)) + rng.uniform(-45, 45, (2, 3))
        if abs(np.dot(pair[0] - pair[1], (0.299, 0.587, 0.114))) >= 70:
            return pair.astype(np.float32)


def _surroundings(side: int, rng: np.random.Generator) -> Field:
    """Paint large soft patches and, on them, small polygons and lines: (side, side, 3)."""
    x, y = np.meshgrid(*[np.linspace(-1, 1, side, dtype=np.float32)] * 2)
    angle = rng.uniform(0, 2 * np.pi)
    coarse = rng.standard_normal((5, 5)).astype(np.float32)
    field = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    slope = np.array([np.cos(angle), np.sin(angle)], np.float32)
    field = np.float32(rng.uniform(0, 2)) * field + slope[0] * x + slope[1] * y
    steepness = np.float32(np.exp(rng.uniform(0.0, 1.2)))
    share = (0.5 + 0.5 * np.tanh(steepness * field))[..., None]
    change = np.subtract(*_two_colours(rng))
    picture = _two_colours(rng)[0] + 0.4 * share * change
    for _ in range(rng.integers(8, 18)):
        centre = rng.uniform(0, side, 2)
        if rng.random() < 0.7:
            corners = _small_polygon(centre, side * rng.uniform(0.04, 0.1), rng)
            cv2.fillPoly(picture, [corners], _two_colours(rng)[0].tolist(), cv2.LINE_AA)
        else:
            end = centre + rng.uniform(-0.35, 0.35, 2) * side
            colour = _two_colours(rng)[0].tolist()
            width = int(rng.integers(2, 7))
            ends = centre.astype(int).tolist(), end.astype(int).tolist()
            cv2.line(picture, *ends, colour, width, cv2.LINE_AA)
    return picture


def _small_polygon(
    centre: NDArray[np.float64], radius: float, rng: np.random.Generator
) -> NDArray[np.int32]:
    angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 6)))
    corners = np.stack([np.cos(angles), np.sin(angles)], 1) * rng.uniform(
        0.6, 1.2, (len(angles), 1)
    )
    return (centre + radius * corners).astype(np.int32)


def _object(
    picture: Field,
    category: Category,
    area: float,
    taken: NDArray[np.int32],
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Paint an object of relative ``area`` into ``picture``; return its (side, side) mask."""
    side = len(picture)
    stretch = np.float32(np.exp(rng.uniform(-0.15, 0.15)))
    turn = np.complex64(np.exp(1j * rng.uniform(0, 2 * np.pi)))
    corners = np.append(category.contour, category.contour[0])
    # The area of a polygon is half the sum of the cross products of neighbouring corners.
    unit_area = 0.5 * abs(np.sum((corners[:-1].conj() * corners[1:]).imag))
    radius = min(np.sqrt(area * side**2 / unit_area), 0.56 * side / np.abs(corners).max())
    reach = min(0.9 * radius, side / 2)
    free = cv2.resize((taken == 0).astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
    x, y = np.meshgrid(*[np.arange(side, dtype=np.float32)] * 2)
    best = np.ones((side, side), bool)
    for attempt in range(20):
        centre = rng.uniform(reach, side - reach, 2).astype(np.float32)
        point = (x - centre[0] + np.complex64(1j) * (y - centre[1])) * turn
        point = point.real * stretch + np.complex64(1j) * (point.imag / stretch)
        inside = _inside(point, corners * radius)
        if attempt == 0 or (inside & (free == 0)).sum() < (best & (free == 0)).sum():
            best, best_point = inside, point
        if not (best & (free == 0)).any():
            break
    period = category.period * len(taken) / 96 * np.exp(rng.uniform(-0.15, 0.15))
    scale = period * _OVERSAMPLING
    phase = rng.uniform(0, scale, 2) if category.texture not in (_rings, _spokes) else (0, 0)
    u, v = best_point.real + phase[0], best_point.imag + phase[1]
    tone = np.asarray(category.texture(u, v, scale, rng), bool)
    first, second = _two_colours(rng)
    picture[best & tone] = first
    picture[best & ~tone] = second
    return best


def _inside(point: NDArray[np.complex128], corners: NDArray[np.complex128]) -> NDArray[np.bool_]:
    """Return which points lie inside a contour that each ray from the origin crosses once."""
    steps = np.linspace(0, 1, 16, endpoint=False)[:, None]
    outline = (corners[:-1] + steps * (corners[1:] - corners[:-1])).T.ravel()
    radius = np.interp(np.angle(point), np.angle(outline), np.abs(outline), period=2 * np.pi)
    return np.abs(point) < radius


def _cover_rim(
    picture: Field, mask: NDArray[np.int32], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Paint a small polygon across a rim of ``mask``; return its (side, side) mask."""
    foreground = (mask > 0).astype(np.uint8)
    rims = np.argwhere(foreground - cv2.erode(foreground, np.ones((3, 3), np.uint8)))
    down, across = rims[rng.integers(len(rims))]
    centre = np.array([across, down]) * _OVERSAMPLING
    corners = _small_polygon(centre, len(picture) * rng.uniform(0.08, 0.14), rng)
    covered = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(covered, [corners], 1)
    picture[covered > 0] = _two_colours(rng)[0]
    return covered > 0


def _reduce(inside: NDArray[np.bool_]) -> Field:
    """Return the covered share of each pixel of the picture, (size, size) float32 in 0..1."""
    size = len(inside) // _OVERSAMPLING
    share = cv2.resize(inside.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(share, np.float32)
