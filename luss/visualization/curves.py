"""Report sections of curves: losses of training stages, and the threshold search."""

from luss.registry import REPORT_SECTIONS
from luss.visualization.charts import line_chart
from luss.visualization.markup import render
from luss.visualization.run_files import RunFiles
from luss.visualization.scalars import read_scalars, shown_names
from luss.visualization.sections import Section

__all__ = ["threshold", "training"]


@REPORT_SECTIONS.register_module()
def training(run: RunFiles) -> Section:
    """Draw a chart for each scalar of each training stage, losses first."""
    stages = {}
    for stage, folder in run.trained.items():
        found = read_scalars(folder)
        stages[stage] = [
            {
                "name": name,
                "step": max(found[name]),
                "value": found[name][max(found[name])],
                "svg": line_chart(list(found[name]), list(found[name].values()), "iteration", name),
            }
            for name in shown_names(found)
        ]
    return Section("Training", render("training", stages=stages))


@REPORT_SECTIONS.register_module()
def threshold(run: RunFiles) -> Section:
    """Draw the curve of the threshold search."""
    found = run.threshold
    curve: dict[str, object] = {"chart": None}
    if found is not None and found.thresholds:
        best = max(found.scores)
        curve = {
            "chart": line_chart(
                found.thresholds,
                found.scores,
                "threshold on the foreground",
                found.score_name,
                mark=found.value,
                size=(7.2, 2.8),
            ),
            "best": best,
            "at": found.thresholds[found.scores.index(best)],
        }
    return Section("Threshold", render("threshold", threshold=found, **curve))
