# PASS_p on ImageNet-S50 with a shape prior: saliency maps of your own tell the foreground in place
# of pixel attention when pixels are labelled. Name their folder:
#   --cfg-options data_root=.../ImageNetS50 stages.label_generation.foreground.folder=DIR
_base_ = ["pass_p_in50.py"]

stages = dict(
    label_generation=dict(foreground=dict(type="FolderOfMaps", folder=None)),
    report=dict(title="PASS_p + Sal"),
)
