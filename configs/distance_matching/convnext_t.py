# Table 14, ConvNeXt-T: test mIoU 45.1 on ImageNet-S, fine-tuned there on train-semi.
_base_ = ["../_base_/protocols/distance_matching.py"]

stages = dict(
    distance_matching=dict(
        backbone=dict(type="mmcls.ConvNeXt", arch="tiny", gap_before_final_norm=False)
    )
)
