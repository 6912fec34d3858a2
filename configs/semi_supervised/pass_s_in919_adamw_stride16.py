# As pass_s_in919_adamw.py, but the last stage keeps its resolution (stride 16). Its 3x3
# convolutions are dilated from the second block on. The first block keeps dilation 1, as in the
# authors' code and in pretraining.
_base_ = ["pass_s_in919_adamw.py"]

stages = dict(
    finetune_semi=dict(
        model=dict(
            # mmseg's ResNet supports another dilation for the first block; mmselfsup's does not.
            # Otherwise the network and names are the same; the last stage has index 3 here.
            backbone=dict(
                _delete_=True,
                type="mmseg.ResNet",
                depth=50,
                out_indices=(3,),
                strides=(1, 2, 2, 1),
                dilations=(1, 1, 1, 2),
                contract_dilation=True,
            ),
            label_stride=4,
        ),
        optim_wrapper=dict(paramwise_cfg=dict(layer_decay=0.45)),
    )
)
