# The AdamW recipe for a ViT-S on one process, with a batch of 32; the backbone also needs
# drop_path_rate.
_base_ = ["semi_supervised_adamw.py"]

layer_decay = 0.5
drop_path_rate = 0.1
semi_supervised_model = dict(label_stride=4)  # about a quarter of a patch of 14 or 16
finetune_semi = dict(
    optim_wrapper=dict(
        paramwise_cfg=dict(layer_decay=layer_decay),
        optimizer=dict(lr=_base_.base_lr * 32 / 256, weight_decay=0.05),
    ),
)
