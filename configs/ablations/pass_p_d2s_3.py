# Table 7(a), "+P2P-D2S3" over PixelPro and clustering: 22.8 test mIoU by distance matching,
# ImageNet-S300 (D2S32, the default: 23.4).
_base_ = ["_base_/pass_p.py"]

stages = dict(
    pretrain=dict(
        model=dict(
            objectives=dict(d2s=dict(stages=(3,))),
            # Equation 4 sums both directions; loss_d2s is their mean.
            loss_weights=dict(loss_d2s=2.0),
        ),
    ),
    report=dict(title="PASS_p, D2S3"),
)
