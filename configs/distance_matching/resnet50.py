# Table 14, ResNet-50: test mIoU 29.8 on ImageNet-S.
_base_ = ["../_base_/protocols/distance_matching.py"]

stages = dict(distance_matching=dict(model=dict(backbone=dict(type="mmcls.ResNet", depth=50))))
