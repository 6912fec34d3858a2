# PASS_p on photos, as pass_p_photos.py, but with region contrast instead of pixel attention as
# foreground. Needs scikit-image.
_base_ = ["pass_p_photos.py"]

stages = dict(
    label_generation=dict(test_cfg=dict(foreground=dict(type="RegionContrast"))),
    report=dict(title="PASS_p + RC on photos"),
)
