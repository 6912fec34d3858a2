# ConvNeXt-T with its ImageNet weights. There is no published figure for it: table 14's 45.1 belongs
# to a ConvNeXt-T that was fine-tuned on the masks of train-semi first, which no config here does.
_base_ = ["../_base_/protocols/distance_matching.py"]

stages = dict(
    distance_matching=dict(
        backbone=dict(type="mmcls.ConvNeXt", arch="tiny", gap_before_final_norm=False)
    )
)
