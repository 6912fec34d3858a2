# PASS_s on photos, as pass_s_photos.py, but with region contrast instead of pixel attention as
# foreground. Needs scikit-image.
_base_ = ["pass_s_photos.py"]

stages = dict(
    label_generation=dict(test_cfg=dict(foreground=dict(type="RegionContrast"))),
    report=dict(title="PASS_s + RC on photos"),
)
