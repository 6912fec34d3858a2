# Table 7(a), "SwAV": 22.6 test mIoU by distance matching, ImageNet-S300. Neither P2P nor D2S.
_base_ = ["_base_/pass_s.py"]

stages = dict(
    pretrain=dict(
        model=dict(
            objectives=dict(
                _delete_=True,
                clustering=_base_.stages.pretrain.model.objectives.clustering,
            ),
            loss_weights=dict(_delete_=True, loss_clustering=1.0),
        ),
    ),
    report=dict(title="SwAV"),
)
