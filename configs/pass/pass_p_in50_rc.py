# PASS_p on ImageNet-S50 with a shape prior: region contrast, which needs no training, tells the
# foreground in place of pixel attention when pixels are labelled (table 5: 42.1 test mIoU against
# 32.0). Needs scikit-image.
_base_ = ["pass_p_in50.py"]

stages = dict(
    label_generation=dict(foreground=dict(type="RegionContrast")),
    report=dict(title="PASS_p + RC"),
)
