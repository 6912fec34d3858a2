# Table 10(c), "Shared": 28.4 test mIoU, ImageNet-S50 (unshared, the default: 29.3).
_base_ = ["_base_/pass_s.py"]

stages = dict(
    pixel_attention=dict(model=dict(attention=dict(shared=True))),
    report=dict(title="PASS_s, shared attention"),
)
