# PASS_s on a few thousand photos, of which some have masks (train-semi), then semi-supervised
# fine-tuning with AdamW: at stride 16, crops of 96, a batch of 32.
_base_ = ["../pass/pass_s_photos.py", "../_base_/protocols/semi_supervised_adamw.py"]

finetune = _base_.stages.finetune
recipe = _base_.semi_supervised_adamw
batch_size = 32
stages = dict(
    _delete_=True,
    pretrain=dict(_base_.stages.pretrain, type="PretrainStage"),
    finetune_semi=dict(
        recipe,
        init=dict(backbone="${pretrain.checkpoint}"),
        model=dict(
            finetune.model,
            label_stride=4,
            data_preprocessor=_base_.semi_supervised_model.data_preprocessor,
        ),
        train_dataloader=dict(
            recipe.train_dataloader,
            batch_size=batch_size,
            dataset=dict(
                pipeline=[
                    dict(type="LoadRGBImage"),
                    dict(type="LoadMask"),
                    dict(type="RandomResizedCropWithMask", size=96, scale=(0.14, 1.0)),
                    dict(type="RandomFlipWithMask"),
                    dict(type="PackInputs"),
                ],
            ),
        ),
        optim_wrapper=dict(
            recipe.optim_wrapper,
            optimizer=dict(type="AdamW", lr=_base_.base_lr * batch_size / 256, weight_decay=5e-4),
        ),
    ),
    semi_supervised=dict(type="SemiSupervisedStage", pipeline=_base_.stages.evaluate.pipeline),
)
