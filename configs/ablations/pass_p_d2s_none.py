# Table 7(a), "+P2P" over PixelPro and clustering: 22.0 test mIoU by distance matching,
# ImageNet-S300. Also the baseline of tables 8(c) and 8(d).
_base_ = ["_base_/pass_p.py"]

objectives = _base_.stages.pretrain.model.objectives
stages = dict(
    pretrain=dict(
        model=dict(
            objectives=dict(
                _delete_=True,
                clustering=objectives.clustering,
                p2p=objectives.p2p,
                pixpro=objectives.pixpro,
            ),
            loss_weights=dict(_delete_=True, loss_clustering=1.0, loss_p2p=1.0, loss_pixpro=1.0),
        ),
    ),
    report=dict(title="PixPro + clustering + P2P"),
)
