# PASS_s on ImageNet-S919, then semi-supervised fine-tuning with the paper's LARS.
_base_ = ["../pass/pass_s_in919.py", "../_base_/protocols/semi_supervised_lars.py"]

stages = dict(
    _delete_=True,
    pretrain=dict(_base_.stages.pretrain, type="PretrainStage"),
    finetune_semi=dict(_base_.stages.finetune, **_base_.semi_supervised_lars),
    semi_supervised=dict(type="SemiSupervisedStage", pipeline=_base_.stages.evaluate.pipeline),
)
