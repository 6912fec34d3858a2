# Table 14, EfficientNet-B3: test mIoU 32.3 on ImageNet-S.
_base_ = ["../_base_/protocols/distance_matching.py"]

backbone = dict(type="mmcls.EfficientNet", arch="b3")
