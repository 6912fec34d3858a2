"""Report sections of curves: losses of training stages, and the threshold search."""

from collections.abc import Mapping
from pathlib import Path

from luss.visualization.charts import line_chart
from luss.visualization.markup import Markup, element, joined, notice
from luss.visualization.scalars import Series, read_scalars, shown_names
from luss.visualization.sources import Threshold

__all__ = ["scalars_section", "threshold_section"]


def scalars_section(trained: Mapping[str, Path]) -> Markup:
    """Draw a chart for each scalar of each training stage, losses first.

    Args:
        trained: name -> folder of the stages that trained a model.
    """
    if not trained:
        return notice("No stage of this run has finished training.")
    return joined(*(_stage(stage, folder) for stage, folder in trained.items()))


def _stage(stage: str, folder: Path) -> Markup:
    found = read_scalars(folder)
    names = shown_names(found)
    head = element("h3", element("code", stage))
    if not names:
        return joined(
            head,
            notice("There are no curves: ", element("code", f"{stage}/*/vis_data/scalars.json"),
                   " is missing or empty. The stage has not trained, or wrote no scalars."),
        )  # fmt: skip
    charts = element("div", *(_chart(name, found[name]) for name in names), class_="charts")
    return joined(head, charts)


def _chart(name: str, series: Series) -> Markup:
    last = max(series)
    return element(
        "figure",
        element(
            "figcaption",
            element("strong", name),
            element("span", f"{series[last]:.4g} at {last}"),
        ),
        line_chart(list(series), list(series.values()), "iteration", name),
        class_="chart",
    )


def threshold_section(threshold: Threshold | None) -> Markup:
    """Draw the curve of the threshold search."""
    if threshold is None:
        return notice("No finished stage of this run has chosen a threshold.")
    said = element(
        "p",
        "Pixels whose foreground (mean attention, unless another source is named) is below ",
        element("strong", str(threshold)),
        f" become ‘other’. Chosen by: {threshold.method}.",
    )
    if not threshold.thresholds:
        return joined(said, notice("No curve is recorded in threshold.json."))
    chart = line_chart(
        threshold.thresholds,
        threshold.scores,
        "threshold on the foreground",
        threshold.score_name,
        mark=threshold.value,
        size=(7.2, 2.8),
    )
    best = max(threshold.scores)
    at = threshold.thresholds[threshold.scores.index(best)]
    caption = element(
        "figcaption",
        element("strong", threshold.score_name),
        element("span", f"highest: {best:.4g} at {at:g}; dashed: {threshold.value:g}, chosen"),
    )
    return joined(said, element("figure", caption, chart, class_="chart wide"))
