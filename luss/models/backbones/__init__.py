from luss.models.backbones.beit import AnySizeBEiT
from luss.models.backbones.dinov3 import DINOv3VisionTransformer
from luss.models.backbones.feature_map import FeatureMap
from luss.models.backbones.feature_maps import extract_maps, feature_maps
from luss.models.backbones.probing import StageInfo, name_stages, probe
from luss.models.backbones.timm_features import TIMMFeatures
from luss.models.backbones.vision_transformer import (
    DINOVisionTransformer,
    LayerScaleVisionTransformer,
)

__all__ = [
    "AnySizeBEiT",
    "DINOVisionTransformer",
    "DINOv3VisionTransformer",
    "FeatureMap",
    "LayerScaleVisionTransformer",
    "StageInfo",
    "TIMMFeatures",
    "extract_maps",
    "feature_maps",
    "name_stages",
    "probe",
]
