# PASS_p on ImageNet-S50 with a shape prior: your own saliency maps replace pixel attention
# as the foreground of label generation. Set their folder:
#   --cfg-options data_root=.../ImageNetS50 stages.label_generation.test_cfg.foreground.folder=DIR
_base_ = ["pass_p_in50.py"]

stages = dict(
    label_generation=dict(test_cfg=dict(foreground=dict(type="FolderOfMaps", folder=None))),
    report=dict(title="PASS_p + Sal"),
)
