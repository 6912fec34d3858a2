# Table 14, DenseNet-161: test mIoU 29.8 on ImageNet-S.
_base_ = ["../_base_/protocols/distance_matching.py"]

backbone = dict(type="mmcls.DenseNet", arch="161")
