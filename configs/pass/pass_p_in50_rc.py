# PASS_p on ImageNet-S50 with a shape prior: region contrast, which needs no training,
# replaces pixel attention as the foreground of label generation (table 5: 42.1 test mIoU against
# 32.0). Needs scikit-image.
_base_ = ["pass_p_in50.py"]

stages = dict(
    label_generation=dict(test_cfg=dict(foreground=dict(type="RegionContrast"))),
    report=dict(title="PASS_p + RC"),
)
