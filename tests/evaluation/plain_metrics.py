"""The metrics of ImageNet-S once more, slowly, straight from their definitions.

Nothing here is shared with the package: sets of pixels, loops, fractions.
"""

import math
from collections import defaultdict
from fractions import Fraction

IGNORE = 1000
GROUPS = ("S", "MS", "ML", "L")


def boundary(ids):
    """Map of pixel to id for pixels in the boundary of their own region."""
    height, width = len(ids), len(ids[0])
    steps = max(1, round(0.03 * math.sqrt(height**2 + width**2)))
    region = {}
    for value in {value for row in ids for value in row}:
        # A pixel of 'not v' around the image: everything outside is outside the region.
        left = {(y, x) for y in range(height) for x in range(width) if ids[y][x] == value}
        for _ in range(steps):
            left = {
                (y, x)
                for y, x in left
                if all((y + dy, x + dx) in left for dy in (-1, 0, 1) for dx in (-1, 0, 1))
            }
        region[value] = left
    return {
        (y, x): ids[y][x]
        for y in range(height)
        for x in range(width)
        if (y, x) not in region[ids[y][x]]
    }


def group_of(pixels, evaluated):
    percent = math.ceil(Fraction(100 * pixels, evaluated))
    return "S" if percent <= 5 else "MS" if percent <= 25 else "ML" if percent <= 50 else "L"


class Sums:
    """Intersections and areas by class."""

    def __init__(self):
        self.both, self.predicted, self.true = (defaultdict(int) for _ in range(3))

    def add(self, predicted, true):
        if predicted is not None:
            self.predicted[predicted] += 1
        if true is not None:
            self.true[true] += 1
        if predicted is not None and predicted == true:
            self.both[true] += 1

    def iou(self, value):
        union = self.predicted[value] + self.true[value] - self.both[value]
        return Fraction(self.both[value], union) if union else Fraction(0)


def metrics(pairs, num_classes, without_other=False):
    """All metrics of [(prediction, truth), ...], nested lists of ids, as fractions of one."""
    sums = {(kind, group): Sums() for kind in "pb" for group in ("", *GROUPS)}
    right, f_beta = 0, Fraction(0)
    for prediction, truth in pairs:
        edges = {"p": None, "b": (boundary(prediction), boundary(truth))}
        kept = [
            (y, x) for y in range(len(truth)) for x in range(len(truth[0])) if truth[y][x] != IGNORE
        ]
        true_area, predicted_area = defaultdict(int), defaultdict(int)
        overlap = 0
        for y, x in kept:
            true_area[truth[y][x]] += 1
            predicted_area[prediction[y][x]] += 1
            overlap += prediction[y][x] > 0 and truth[y][x] > 0
        classes = {v: group_of(n, len(kept)) for v, n in true_area.items() if v}

        foreground = {v: n for v, n in predicted_area.items() if v}
        if foreground:
            largest = min(v for v, n in foreground.items() if n == max(foreground.values()))
            right += largest in classes
        if overlap:
            precision = Fraction(overlap, sum(foreground.values()))
            recall = Fraction(overlap, sum(n for v, n in true_area.items() if v))
            beta = Fraction(3, 10)
            f_beta += (1 + beta) * precision * recall / (beta * precision + recall)

        for kind in "pb":
            for y, x in kept:
                p, t = prediction[y][x], truth[y][x]
                if kind == "b":
                    p, t = edges["b"][0].get((y, x)), edges["b"][1].get((y, x))
                sums[kind, ""].add(p, t)
                for group in set(classes.values()):
                    if truth[y][x] == 0 or classes[truth[y][x]] == group:
                        sums[kind, group].add(p, t)

    ids = range(1 if without_other else 0, num_classes + 1)
    result = {
        "mIoU": sum(sums["p", ""].iou(v) for v in ids) / len(ids),
        "b-mIoU": sum(sums["b", ""].iou(v) for v in ids) / len(ids),
        "Img-Acc": Fraction(right, len(pairs)),
        "F_beta": f_beta / len(pairs),
    }
    for kind, prefix in (("p", ""), ("b", "B")):
        for group in GROUPS:
            table = sums[kind, group]
            present = [table.iou(v) for v in ids if table.true[v]]
            result[prefix + group] = sum(present) / len(present) if present else math.nan
    return {name: float(value) for name, value in result.items()}


def cooccurrence(pairs, num_generated, num_classes):
    """Images whose prediction (ignored pixels dropped) holds g and whose truth holds c."""
    table = [[0] * num_classes for _ in range(num_generated)]
    for prediction, truth in pairs:
        kept = [
            (p, t)
            for p_row, t_row in zip(prediction, truth, strict=True)
            for p, t in zip(p_row, t_row, strict=True)
            if t != IGNORE
        ]
        for g in {p for p, _ in kept if p}:
            for c in {t for _, t in kept if t}:
                table[g - 1][c - 1] += 1
    return table
