"""The sections of curves: losses of the training stages, and the search for the threshold."""

from pathlib import Path

from luss.visualization.charts import line_chart
from luss.visualization.markup import Markup, element, joined, notice
from luss.visualization.scalars import Series, read_scalars, shown_names
from luss.visualization.sources import Threshold

__all__ = ["TRAINING_STAGES", "scalars_section", "threshold_section"]

TRAINING_STAGES = {
    "pretrain": "Representation learning",
    "pixel_attention": "Pixel attention",
    "finetune": "Fine-tuning of the segmentor",
}


def scalars_section(work_dir: Path) -> Markup:
    """A chart for each scalar of each training stage, losses first."""
    return joined(*(_stage(work_dir, stage, title) for stage, title in TRAINING_STAGES.items()))


def _stage(work_dir: Path, stage: str, title: str) -> Markup:
    found = read_scalars(work_dir / stage)
    names = shown_names(found)
    head = element("h3", title, " ", element("code", stage))
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
    """The curve that the threshold was chosen from."""
    if threshold is None:
        return notice(
            "There is no threshold: ",
            element("code", "label_generation/threshold.json"),
            " is missing. The stage ",
            element("code", "label_generation"),
            " writes it.",
        )
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
