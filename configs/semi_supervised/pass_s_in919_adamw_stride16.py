# As pass_s_in919_adamw.py, with a last stage that keeps its resolution: stride 16. Its 3x3
# convolutions are dilated from the second block on; the first block keeps dilation 1, as in the
# authors' code, so that its kernel meets the spacing it was pretrained at.
_base_ = ["pass_s_in919_adamw.py"]

stages = dict(
    finetune_semi=dict(
        model=dict(
            # mmseg's ResNet can dilate the first block less than the others; mmselfsup's cannot.
            # Same network and names otherwise, but the last stage has index 3 here.
            backbone=dict(
                type="mmseg.ResNet",
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
