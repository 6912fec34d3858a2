# Table 14, Swin-S: test mIoU 38.6 on ImageNet-S.
_base_ = ["../_base_/protocols/distance_matching.py"]

backbone = dict(type="mmcls.SwinTransformer", arch="small")
