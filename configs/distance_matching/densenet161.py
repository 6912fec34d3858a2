# Table 14, DenseNet-161: test mIoU 29.8 on ImageNet-S.
_base_ = ["../_base_/protocols/distance_matching.py"]

stages = dict(distance_matching=dict(model=dict(backbone=dict(type="mmcls.DenseNet", arch="161"))))
