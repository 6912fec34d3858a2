# PASS_s on ImageNet-S300, then semi-supervised fine-tuning with AdamW.
_base_ = ["../pass/pass_s_in300.py", "../_base_/protocols/semi_supervised_adamw.py"]

finetune = _base_.stages.finetune
stages = dict(
    _delete_=True,
    pretrain=dict(_base_.stages.pretrain, type="PretrainStage"),
    finetune_semi=dict(
        init=dict(backbone="${pretrain.checkpoint}"),
        model=dict(finetune.model, **_base_.semi_supervised_model),
        sync_bn="torch",
        **_base_.semi_supervised_adamw,
    ),
    semi_supervised=dict(type="SemiSupervisedStage", pipeline=_base_.stages.evaluate.pipeline),
)
