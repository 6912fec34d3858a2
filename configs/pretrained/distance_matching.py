# Distance matching of a pretrained backbone, on any split root or folder of photos with masks:
#   python tools/train.py configs/pretrained/distance_matching.py --cfg-options data_root=DIR \
#       backbone.preset=dinov2_vits14 backbone.weights=FILE
# The published rows of other backbones are in configs/distance_matching/.
_base_ = ["../_base_/protocols/distance_matching.py"]

backbone = dict(type="mmcls.ResNet", depth=50)
