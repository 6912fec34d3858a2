# Table 7(a), "PixelPro": 15.8 test mIoU by distance matching, ImageNet-S300. The row needs
# step 1 only; pixel attention would train its projector and prototypes from random weights.
_base_ = ["_base_/pass_p.py"]

pretrain = _base_.stages.pretrain
stages = dict(
    _delete_=True,
    pretrain=dict(
        pretrain,
        model=dict(
            pretrain.model,
            objectives=dict(pixpro=pretrain.model.objectives.pixpro),
            loss_weights=dict(loss_pixpro=1.0),
        ),
        custom_hooks=[],
    ),
    # The same photo size as in the other rows.
    distance_matching=dict(
        type="Test",
        protocol=dict(type="DistanceMatching"),
        model=dict(type="DistanceMatcher", backbone="${pretrain.model.backbone}"),
        weights="${pretrain.checkpoint}",
        test_dataloader=dict(_base_.stages.evaluate.test_dataloader, batch_size=8),
    ),
)
