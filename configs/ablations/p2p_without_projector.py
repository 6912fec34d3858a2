# Table 8(b), "P2P without M_p" over SwAV: 24.6 test mIoU by distance matching, ImageNet-S300.
_base_ = ["d2s_none.py"]

stages = dict(
    pretrain=dict(model=dict(objectives=dict(p2p=dict(projector_layers=0)))),
    report=dict(title="SwAV + P2P without M_p"),
)
