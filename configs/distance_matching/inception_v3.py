# Table 14, Inception V3: test mIoU 29.9 on ImageNet-S.
_base_ = ["../_base_/protocols/distance_matching.py"]

# The network of mmcls includes a classifier; we use the features of the last mixed block.
backbone = dict(type="mmcls.InceptionV3", aux_logits=False)
stages = dict(distance_matching=dict(model=dict(layer="Mixed_7c")))
