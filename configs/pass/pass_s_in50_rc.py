# PASS_s on ImageNet-S50 with a shape prior: region contrast, which needs no training,
# replaces pixel attention as the foreground of label generation. Needs scikit-image.
_base_ = ["pass_s_in50.py"]

stages = dict(
    label_generation=dict(test_cfg=dict(foreground=dict(type="RegionContrast"))),
    report=dict(title="PASS_s + RC"),
)
