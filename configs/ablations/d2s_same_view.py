# Table 8(d), "+same-view sup." over PixelPro, clustering and P2P: 23.1 test mIoU by distance
# matching, ImageNet-S300 (cross-view, the default of PASS_p: 23.4).
_base_ = ["_base_/pass_p.py"]

stages = dict(
    pretrain=dict(model=dict(objectives=dict(d2s=dict(same_view=True)))),
    report=dict(title="PASS_p, D2S within a view"),
)
