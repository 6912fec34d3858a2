# PASS_s on ImageNet-S919, then semi-supervised fine-tuning with AdamW.
_base_ = ["../pass/pass_s_in919.py", "../_base_/protocols/semi_supervised_adamw.py"]

stages = dict(
    _delete_=True,
    pretrain=_base_.stages.pretrain,
    finetune_semi=dict(
        _base_.finetune_semi,
        model=dict(_base_.stages.finetune.model, **_base_.semi_supervised_model),
    ),
    semi_supervised=dict(
        _base_.semi_supervised, test_dataloader=_base_.stages.evaluate.test_dataloader
    ),
)
