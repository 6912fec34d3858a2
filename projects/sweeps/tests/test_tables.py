"""Means, deviations and tables, against Python's own statistics and by hand."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.chart import plot_methods
from sweeps.tables import (
    Spread,
    as_json,
    as_markdown,
    main_columns,
    size_columns,
    spread_of_results,
)

PERCENT = st.floats(0, 100)


@given(st.lists(PERCENT, min_size=2, max_size=9))
def test_mean_and_sample_deviation(values):
    spread = Spread(dict(enumerate(values)))
    assert spread.mean == pytest.approx(statistics.fmean(values), abs=1e-9)
    assert spread.deviation == pytest.approx(statistics.stdev(values), abs=1e-6)


def test_few_values():
    assert (Spread({0: 4.0}).mean, Spread({0: 4.0}).deviation) == (4, None)
    assert (Spread({0: None}).mean, Spread({0: None}).deviation) == (None, None)
    assert (Spread({0: None, 1: 2.0}).mean, Spread({0: None, 1: 2.0}).deviation) == (2, None)


def methods():
    first = {
        "val": {"S": 1.0, "mIoU": 10.0, "own": 3.0},
        "test": {"mIoU": 20.0, "S": None, "b-mIoU": 1.0, "BML": 8.0},
    }
    second = {"val": {"S": 1.0, "mIoU": 13.0, "own": 3.0}, "test": {"mIoU": 20.0, "S": 5.0}}
    return {
        "a|b": spread_of_results([(0, first), (4, second)]),
        "one": spread_of_results([(4, second)]),
    }


def test_columns_are_in_the_order_of_the_paper():
    assert main_columns(methods()) == [
        ("mIoU", "val"),
        ("mIoU", "test"),
        ("b-mIoU", "test"),
        ("own", "val"),
    ]
    assert size_columns(methods()) == [("S", "test"), ("BML", "test")]
    without_test = {"x": spread_of_results([(0, {"val": {"L": 1.0, "mIoU": 2.0}})])}
    assert size_columns(without_test) == [("L", "val")]


def test_markdown():
    # The deviation of 10 and 13 is 3 / sqrt(2).
    expected = r"""
## Fully unsupervised

| method |   n |   mIoU val |  mIoU test |  b-mIoU test |   own val |
| ------ | --: | ---------: | ---------: | -----------: | --------: |
| a\|b   |   2 | 11.5 ± 2.1 | 20.0 ± 0.0 |    1.0 (n=1) | 3.0 ± 0.0 |
| one    |   1 |       13.0 |       20.0 |            - |       3.0 |

By size of the object, test:

| method |   n |    mIoU S | b-mIoU ML |
| ------ | --: | --------: | --------: |
| a\|b   |   2 | 5.0 (n=1) | 8.0 (n=1) |
| one    |   1 |       5.0 |         - |
"""
    found = as_markdown("fully_unsupervised", methods())
    assert squeezed(found) == squeezed(expected)
    lengths = [len(line) for line in found.splitlines() if line.startswith("|")]
    assert len(set(lengths[:4])) == 1


def squeezed(text):
    """Without the blanks and hyphens that only align."""
    lines = (" ".join(line.split()) for line in text.strip().splitlines())
    return ["-" if set(line) <= set("|-: ") and line else line for line in lines]


def test_json():
    found = as_json(methods())["a|b"]["val"]["mIoU"]
    assert found.pop("deviation") == pytest.approx(3 / 2**0.5)
    assert found == {"mean": 11.5, "n": 2, "values": {"0": 10.0, "4": 13.0}}


def test_a_plot_of_values_that_are_missing_or_alone(tmp_path):
    path = tmp_path / "plot.png"
    plot_methods(path, "100$ of_it", methods())
    assert path.read_bytes().startswith(b"\x89PNG")
