# PASS_s on ImageNet-S919, then semi-supervised fine-tuning with the paper's LARS.
_base_ = ["../pass/pass_s_in919.py", "../_base_/protocols/semi_supervised_lars.py"]

finetune = _base_.stages.finetune
loader = finetune.train_dataloader
# The first step would find generated labels.
true_masks = dict(_base_.true_masks, pipeline=loader.dataset.pipeline[1:])
stages = dict(
    _delete_=True,
    pretrain=_base_.stages.pretrain,
    finetune_semi=dict(
        finetune,
        model=dict(finetune.model, decode_head=_base_.true_head),
        train_dataloader=dict(loader, dataset=true_masks),
        train_cfg=_base_.train_cfg,
    ),
    semi_supervised=dict(
        _base_.semi_supervised, test_dataloader=_base_.stages.evaluate.test_dataloader
    ),
)
