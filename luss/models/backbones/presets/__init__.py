"""Presets: all settings of a pretrained backbone, by name.

``backbone_settings("dinov2_vits14", "FILE")`` returns those of one; ``luss backbones`` lists all,
and those that a file fits. A project adds its own with ``PRESETS["name"] = Preset(...)``.
"""

from luss.models.backbones.presets.fitting import Fit, fitting_presets, nearest_preset
from luss.models.backbones.presets.preset import Preset, is_installed, tensor_shapes
from luss.models.backbones.presets.settings import (
    backbone_settings,
    expand_preset,
    find_preset,
)
from luss.models.backbones.presets.table import PRESETS
from luss.models.backbones.presets.timm_networks import TIMM_PREFIX

__all__ = [
    "PRESETS",
    "TIMM_PREFIX",
    "Fit",
    "Preset",
    "backbone_settings",
    "expand_preset",
    "find_preset",
    "fitting_presets",
    "is_installed",
    "nearest_preset",
    "tensor_shapes",
]
