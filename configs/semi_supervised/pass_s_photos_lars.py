# PASS_s on a few thousand photos, of which some have masks (train-semi), then semi-supervised
# fine-tuning with the paper's LARS.
_base_ = ["../pass/pass_s_photos.py", "../_base_/protocols/semi_supervised_lars.py"]

finetune = _base_.stages.finetune
crops = finetune.train_dataloader.dataset.pipeline
stages = dict(
    _delete_=True,
    pretrain=dict(_base_.stages.pretrain, type="PretrainStage"),
    finetune_semi=dict(
        finetune,
        train_dataloader=dict(
            finetune.train_dataloader,
            # The true masks of train-semi: the first step would find generated labels.
            dataset=dict(on_unreadable="skip", pipeline=crops[1:]),
        ),
        **_base_.semi_supervised_lars,
    ),
    semi_supervised=dict(type="SemiSupervisedStage", pipeline=_base_.stages.evaluate.pipeline),
)
