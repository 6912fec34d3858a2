# Table 8(a), "+Contrastive P2P" over SwAV: 18.0 test mIoU by distance matching, ImageNet-S300.
_base_ = ["d2s_none.py"]

stages = dict(
    pretrain=dict(
        # The paper gives no temperature; 0.2 is our choice.
        model=dict(objectives=dict(p2p=dict(type="ContrastiveP2P", temperature=0.2))),
    ),
    report=dict(title="SwAV + contrastive P2P"),
)
