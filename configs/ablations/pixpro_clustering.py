# Table 7(a), "+Clustering Loss" over PixelPro: 21.3 test mIoU by distance matching, ImageNet-S300.
_base_ = ["_base_/pass_p.py"]

objectives = _base_.stages.pretrain.model.objectives
stages = dict(
    pretrain=dict(
        model=dict(
            objectives=dict(
                _delete_=True, clustering=objectives.clustering, pixpro=objectives.pixpro
            ),
            loss_weights=dict(_delete_=True, loss_clustering=1.0, loss_pixpro=1.0),
        ),
    ),
    report=dict(title="PixPro + clustering"),
)
