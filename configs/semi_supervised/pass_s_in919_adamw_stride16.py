# As pass_s_in919_adamw.py, with a last stage that keeps its resolution: stride 16.
_base_ = ["pass_s_in919_adamw.py"]

stages = dict(
    finetune_semi=dict(
        model=dict(
            backbone=dict(strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2)),
            label_stride=4,
        ),
        optim_wrapper=dict(paramwise_cfg=dict(layer_decay=0.45)),
    )
)
