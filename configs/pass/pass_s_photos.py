# PASS_s on a few thousand photos of about 160 px: --cfg-options data_root=DIR. DIR is an ImageNet-S
# split root, or any folder of photos; for the latter add num_categories=C.
_base_ = ["../_base_/pass/pass_s_small.py"]

stages = dict(
    pretrain=dict(train_cfg=dict(max_epochs=50)),
    pixel_attention=dict(train_cfg=dict(max_epochs=10)),
    finetune=dict(train_cfg=dict(max_epochs=15)),
    report=dict(title="PASS_s on photos"),
)
