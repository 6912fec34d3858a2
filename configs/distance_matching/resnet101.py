# Table 14, ResNet-101: test mIoU 31.4 on ImageNet-S.
_base_ = ["../_base_/protocols/distance_matching.py"]

backbone = dict(type="mmcls.ResNet", depth=101)
