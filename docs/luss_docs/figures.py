"""Results of configs: those of the paper, and measured ones.

The paper's figures are copied by hand; each has its table. Ours are read off the tables of
``benchmarks/RESULTS.md`` when the pages are made, so that they stand in one place.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from luss_docs.links import REPOSITORY

__all__ = ["MEASURED", "PAPER", "MeasuredTable", "measured"]

RESULTS = REPOSITORY / "benchmarks" / "RESULTS.md"

# Columns: mIoU, b-mIoU, Img-Acc, F_beta; val / test.
_UNSUPERVISED = "Table 5, fully unsupervised"
_DISTANCE = "Table 9, distance matching of step 1"
_SEMI = "Table 13, semi-supervised"

PAPER: dict[str, list[tuple[str, dict[str, tuple[float | None, float]]]]] = {
    "pass/pass_s_in50.py": [
        (
            _UNSUPERVISED,
            {
                "mIoU": (29.2, 29.3),
                "b-mIoU": (7.6, 7.4),
                "Img-Acc": (66.2, 65.5),
                "F_beta": (49.0, 49.0),
            },
        )
    ],
    "pass/pass_s_in300.py": [
        (
            _UNSUPERVISED,
            {
                "mIoU": (18.0, 18.1),
                "b-mIoU": (5.2, 5.2),
                "Img-Acc": (43.9, 42.6),
                "F_beta": (47.6, 47.5),
            },
        ),
        (_DISTANCE, {"mIoU": (25.1, 25.2), "Img-Acc": (57.3, 57.5), "F_beta": (65.0, 65.2)}),
    ],
    "pass/pass_s_in919.py": [
        (
            _UNSUPERVISED,
            {
                "mIoU": (11.5, 11.0),
                "b-mIoU": (3.8, 3.5),
                "Img-Acc": (24.0, 22.3),
                "F_beta": (37.1, 36.9),
            },
        ),
        (_DISTANCE, {"mIoU": (15.6, 15.6), "Img-Acc": (43.1, 42.9), "F_beta": (64.3, 64.6)}),
    ],
    "pass/pass_p_in50.py": [
        (
            _UNSUPERVISED,
            {
                "mIoU": (32.4, 32.0),
                "b-mIoU": (7.2, 7.2),
                "Img-Acc": (62.9, 64.1),
                "F_beta": (48.7, 47.9),
            },
        )
    ],
    "pass/pass_p_in300.py": [
        (
            _UNSUPERVISED,
            {
                "mIoU": (16.6, 16.0),
                "b-mIoU": (4.4, 4.2),
                "Img-Acc": (34.7, 32.8),
                "F_beta": (34.4, 34.3),
            },
        ),
        (_DISTANCE, {"mIoU": (23.0, 23.4), "Img-Acc": (53.3, 54.3), "F_beta": (62.4, 63.1)}),
    ],
    "pass/pass_p_in919.py": [
        (
            _UNSUPERVISED,
            {
                "mIoU": (7.3, 6.6),
                "b-mIoU": (2.4, 2.1),
                "Img-Acc": (19.9, 18.0),
                "F_beta": (34.8, 34.6),
            },
        ),
        (_DISTANCE, {"mIoU": (9.8, 9.8), "Img-Acc": (29.4, 29.6), "F_beta": (61.1, 61.3)}),
    ],
    "pass/pass_p_in50_rc.py": [
        (
            _UNSUPERVISED,
            {
                "mIoU": (42.6, 42.1),
                "b-mIoU": (17.5, 17.7),
                "Img-Acc": (58.8, 61.8),
                "F_beta": (62.1, 61.3),
            },
        )
    ],
    "pass/pass_p_in50_sal.py": [
        (
            _UNSUPERVISED,
            {
                "mIoU": (43.3, 42.3),
                "b-mIoU": (20.4, 20.2),
                "Img-Acc": (64.6, 65.2),
                "F_beta": (70.0, 69.9),
            },
        )
    ],
    "semi_supervised/pass_s_in300_lars.py": [
        (_SEMI, {"mIoU": (25.7, 25.7), "Img-Acc": (52.3, 52.8), "F_beta": (65.5, 66.0)})
    ],
    "semi_supervised/pass_s_in919_lars.py": [
        (_SEMI, {"mIoU": (19.4, 19.2), "Img-Acc": (43.3, 43.4), "F_beta": (66.6, 66.9)})
    ],
    "semi_supervised/pass_s_in919_adamw.py": [
        ("the authors' later recipe, stride 32", {"mIoU": (None, 20.3)})
    ],
    "semi_supervised/pass_s_in919_adamw_stride16.py": [
        ("the authors' later recipe, stride 16", {"mIoU": (None, 20.8)})
    ],
    **{
        f"distance_matching/{name}.py": [
            (f"Table 14, supervised backbone ({accuracy} top-1)", {"mIoU": (None, figure)})
        ]
        for name, accuracy, figure in (
            ("resnet50", 83.6, 29.8),
            ("resnet101", 84.3, 31.4),
            ("densenet161", 84.3, 29.8),
            ("inception_v3", 77.7, 29.9),
            ("resnext50", 84.4, 32.6),
            ("resnext101", 85.5, 34.8),
            ("efficientnet_b3", 85.3, 32.3),
            ("res2net50", 84.8, 35.7),
            ("res2net101", 85.6, 37.2),
            ("swin_s", 87.8, 38.6),
            ("swin_b", 88.0, 38.2),
        )
    },
    "distance_matching/convnext_t.py": [
        (
            "Table 14, a backbone fine-tuned on the labelled images, which this config does not do",
            {"mIoU": (None, 45.1)},
        )
    ],
}
"""Config -> rows of the paper: table, and metric -> (val, test) in percent."""

MEASURED: dict[str, list[tuple[str, str]]] = {
    "pass/pass_s_demo.py": [("Demo", r"seed \d, .*")],
    "pass/pass_s_photos.py": [("Photos: does pretraining help?", r"trained-\d")],
}
"""Config -> heading in RESULTS.md, and a pattern of the first cells of its rows. Rows with the
config in their first cell are always included."""


class MeasuredTable(NamedTuple):
    """Rows of a table of RESULTS.md."""

    heading: str
    columns: list[str]
    rows: list[list[str]]


def measured(config: str) -> list[MeasuredTable]:
    """Return the rows of RESULTS.md for a config.

    Args:
        config: path below ``configs/``.

    Raises:
        KeyError: if the rows that ``MEASURED`` names are not there.
    """
    wanted = dict(MEASURED.get(config, []))
    name = re.escape(config.rpartition("/")[2])
    named = re.compile(rf"(?<![\w/]){name}(?!\w)")
    found = []
    for heading, columns, rows in _tables():
        pattern = wanted.get(heading)
        kept = [
            row
            for row in rows
            if named.search(row[0]) or (pattern and re.fullmatch(pattern, row[0]))
        ]
        if kept:
            found.append(MeasuredTable(heading, columns, kept))
    missing = wanted.keys() - {table.heading for table in found}
    if missing:
        raise KeyError(
            f"benchmarks/RESULTS.md has no rows of {config} under {', '.join(missing)}; correct "
            "MEASURED in docs/luss_docs/figures.py"
        )
    return found


def _tables() -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Return heading, columns and rows of each table."""
    heading, columns, rows = "", [], []
    for line in [*RESULTS.read_text(encoding="utf-8").splitlines(), ""]:
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if not columns:
                columns = cells
            elif not all(set(cell) <= set("-:") and cell for cell in cells):
                rows.append(cells)
        elif columns:
            yield heading, columns, rows
            columns, rows = [], []
