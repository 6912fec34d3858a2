# PASS_p on photos as pass_p_photos.py has it, with region contrast in place of pixel attention as
# the foreground. Needs scikit-image.
_base_ = ["pass_p_photos.py"]

stages = dict(
    label_generation=dict(foreground=dict(type="RegionContrast")),
    report=dict(title="PASS_p + RC on photos"),
)
