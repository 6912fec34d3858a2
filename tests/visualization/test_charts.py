import re
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luss.visualization.charts import line_chart, summarise
from luss.visualization.curves import training

SVG = "{http://www.w3.org/2000/svg}"


def parse(svg):
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return ElementTree.fromstring(str(svg).replace("<svg ", f"<svg {names} ", 1))


def line(svg) -> np.ndarray:
    """Corners of the curve, (n, 2), y downwards."""
    styles = [(path.get("style", ""), path.get("d")) for path in parse(svg).iter(f"{SVG}path")]
    (drawn,) = [d for style, d in styles if "var(--accent)" in style and "fill: none" in style]
    return np.array(re.findall(r"[ML] (\S+) (\S+)", drawn), float)


def test_the_curve_goes_through_its_values():
    x, y = np.array([0.0, 1, 2, 4, 8]), np.array([3.0, -1, 2, 0, 7])
    corners = line(line_chart(x, y, "x", "y"))
    for drawn, true in ((corners[:, 0], x), (-corners[:, 1], y)):
        slope, start = np.polyfit(true, drawn, 1)
        assert slope > 0
        np.testing.assert_allclose(drawn, start + slope * true, atol=1e-3)


def test_a_chart_is_part_of_the_page(tmp_path):
    svg = line_chart([1, 2], [3, 4], "iteration", 'a <b> & "c" $x$')
    root = parse(svg)
    assert root.tag == f"{SVG}svg"
    assert root.get("aria-label") == 'Chart of a <b> & "c" $x$ over iteration'
    assert 'a <b> & "c" $x$' in [text.text for text in root.iter(f"{SVG}text")]
    assert "<style" not in svg
    assert "#0102" not in svg
    assert "currentColor" in svg
    assert svg == line_chart([1, 2], [3, 4], "iteration", 'a <b> & "c" $x$')


def test_a_series_of_one_value_is_drawn():
    assert "var(--accent)" in line_chart([5], [1.0], "x", "y")


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=200),
    points=st.integers(1, 50),
)
def test_summaries_keep_range_last_step_and_mean(values, points):
    values = np.array(values)
    steps = np.cumsum(np.arange(1, len(values) + 1))
    at, mean, low, high = summarise(steps, values, points)
    assert len(at) <= points
    assert at[-1] == steps[-1]
    assert low.min() == values.min()
    assert high.max() == values.max()
    sizes = np.diff(np.searchsorted(steps, at, side="right"), prepend=0)
    assert (sizes * mean).sum() == pytest.approx(values.sum(), abs=1e-6)
    for index, end in enumerate(np.cumsum(sizes)):
        run = values[end - sizes[index] : end]
        assert (low[index], high[index]) == (run.min(), run.max())


def test_losses_come_first_and_show_the_last_value(tmp_path, scalars):
    stage = tmp_path / "pretrain"
    record = {"lr": 0.5, "loss_p2p": 2.0, "loss": 5.0, "time": 1.0, "data_time": 0.1, "step": 10}
    scalars(stage / "20250101_100000", [record, {**record, "loss": 4.25, "step": 20}])
    scalars(stage / "20250101_110000", [{**record, "loss": 4.125, "step": 20}], '{"loss": 9')
    page = training(SimpleNamespace(trained={"pretrain": stage})).content
    names = re.findall(r"<strong>(.*?)</strong><span>(.*?)</span>", page)
    assert names == [("loss", "4.125 at 20"), ("loss_p2p", "2 at 20"), ("lr", "0.5 at 20")]
    curve = line(page[page.index("<svg") : page.index("</svg>") + 6])
    assert len(curve) == 2
