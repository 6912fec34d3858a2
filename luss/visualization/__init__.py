from luss.visualization.curves import threshold, training
from luss.visualization.discovered import discovered
from luss.visualization.gallery import gallery
from luss.visualization.metrics_table import metrics, provenance
from luss.visualization.prediction_pictures import PredictionPicturesHook
from luss.visualization.report import build_report
from luss.visualization.run_files import RunFiles
from luss.visualization.sections import DEFAULT_SECTIONS, Section

__all__ = [
    "DEFAULT_SECTIONS",
    "PredictionPicturesHook",
    "RunFiles",
    "Section",
    "build_report",
    "discovered",
    "gallery",
    "metrics",
    "provenance",
    "threshold",
    "training",
]
