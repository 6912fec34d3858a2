# ruff: noqa: C408
# DenseCL as L_e, with P2P and D2S on top, so small that all steps take seconds.
_base_ = ["tiny_pass_s.py"]

stages = dict(
    pretrain=dict(
        model=dict(
            type="AlgorithmWithObjectives",
            algorithm=dict(
                type="mmselfsup.DenseCL",
                queue_len=16,
                feat_dim=12,
                neck=dict(type="DenseCLNeck", in_channels=64, hid_channels=16, out_channels=12),
                head=dict(type="ContrastiveHead", loss=dict(type="mmcls.CrossEntropyLoss")),
            ),
        ),
        custom_hooks=[
            dict(type="ClusteringHook"),
            dict(type="DenseCLHook", start_iters=3),
        ],
    ),
)
