# Table 7(a), "+P2P" over SwAV: 24.8 test mIoU by distance matching, ImageNet-S300. Without
# D2S. Also table 8(a), "+Non-contrastive P2P", and table 8(b), "P2P with M_p".
_base_ = ["_base_/pass_s.py"]

objectives = _base_.stages.pretrain.model.objectives
stages = dict(
    pretrain=dict(
        model=dict(
            objectives=dict(_delete_=True, clustering=objectives.clustering, p2p=objectives.p2p),
            loss_weights=dict(_delete_=True, loss_clustering=1.0, loss_p2p=1.0),
        ),
    ),
    report=dict(title="SwAV + P2P"),
)
