# Table 14, ResNet-50: test mIoU 29.8 on ImageNet-S.
_base_ = ["../_base_/protocols/distance_matching.py"]

backbone = dict(type="mmcls.ResNet", depth=50)
