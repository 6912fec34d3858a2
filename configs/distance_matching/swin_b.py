# Table 14, Swin-B: test mIoU 38.2 on ImageNet-S.
_base_ = ["../_base_/protocols/distance_matching.py"]

backbone = dict(type="mmcls.SwinTransformer", arch="base")
