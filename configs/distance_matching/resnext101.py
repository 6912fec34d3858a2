# Table 14, ResNeXt-101 (32x8d): test mIoU 34.8 on ImageNet-S.
_base_ = ["../_base_/protocols/distance_matching.py"]

backbone = dict(type="mmcls.ResNeXt", depth=101, groups=32, width_per_group=8)
