# PASS_s on ImageNet-S50 with a shape prior: region contrast, which needs no training, tells the
# foreground in place of pixel attention when pixels are labelled. Needs scikit-image.
_base_ = ["pass_s_in50.py"]

stages = dict(
    label_generation=dict(foreground=dict(type="RegionContrast")),
    report=dict(title="PASS_s + RC"),
)
