from luss.visualization.markup import Markup, element, joined, note, notice
from luss.visualization.prediction_pictures import PredictionPicturesHook
from luss.visualization.report import build_report
from luss.visualization.run_files import RunFiles
from luss.visualization.sections import DEFAULT_SECTIONS, Section

__all__ = [
    "DEFAULT_SECTIONS",
    "Markup",
    "PredictionPicturesHook",
    "RunFiles",
    "Section",
    "build_report",
    "element",
    "joined",
    "note",
    "notice",
]
