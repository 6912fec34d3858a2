# PASS_s on photos as pass_s_photos.py has it, with region contrast in place of pixel attention as
# the foreground. Needs scikit-image.
_base_ = ["pass_s_photos.py"]

stages = dict(
    label_generation=dict(foreground=dict(type="RegionContrast")),
    report=dict(title="PASS_s + RC on photos"),
)
