# Table 14, ResNeXt-50 (32x4d): test mIoU 32.6 on ImageNet-S.
_base_ = ["../_base_/protocols/distance_matching.py"]

backbone = dict(type="mmcls.ResNeXt", depth=50, groups=32, width_per_group=4)
