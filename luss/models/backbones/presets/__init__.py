"""Presets: all settings of a pretrained backbone, by name.

``backbone_settings("dinov2_vits14", "FILE")`` returns those of one; ``luss backbones`` lists all,
and those that a file fits. A project adds its own with ``PRESETS["name"] = Preset(...)``.
"""

from luss.models.backbones.presets.fitting import Fit, fitting_presets, nearest_preset
from luss.models.backbones.presets.preset import Preset, tensor_shapes
from luss.models.backbones.presets.settings import backbone_settings, find_preset
from luss.models.backbones.presets.table import PRESETS

__all__ = [
    "PRESETS",
    "Fit",
    "Preset",
    "backbone_settings",
    "find_preset",
    "fitting_presets",
    "nearest_preset",
    "tensor_shapes",
]
