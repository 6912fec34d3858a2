# Table 7(a), "+P2P-D2S32" over SwAV: 24.9 test mIoU by distance matching, ImageNet-S300 (D2S3, the
# default: 25.2). The losses of clustering and D2S are averaged, as for D2S3.
_base_ = ["_base_/pass_s.py"]

backbone = dict(out_indices=(2, 3, 4))
stages = dict(
    pretrain=dict(
        model=dict(
            stages=(2, 3, 4),
            objectives=dict(d2s=dict(stages=(3, 2))),
            loss_weights=dict(loss_clustering=1 / 3, loss_d2s=1 / 3),
        ),
    ),
    report=dict(title="PASS_s, D2S32"),
)
