# PASS_s on a few thousand photos, of which some have masks (train-semi), then semi-supervised
# fine-tuning with AdamW: at stride 16, crops of 96, a batch of 32.
_base_ = ["../pass/pass_s_photos.py", "../_base_/protocols/semi_supervised_adamw.py"]

recipe = _base_.finetune_semi
loader = recipe.train_dataloader
crop = dict(type="RandomResizedCropWithMask", size="${config.short_side}", scale=(0.14, 1.0))
crops = [crop if step["type"] == crop["type"] else step for step in loader.dataset.pipeline]
batch_size = 32
adamw = dict(type="AdamW", lr=_base_.base_lr * batch_size / 256, weight_decay=5e-4)
stages = dict(
    _delete_=True,
    pretrain=_base_.stages.pretrain,
    finetune_semi=dict(
        recipe,
        model=dict(
            _base_.stages.finetune.model, **dict(_base_.semi_supervised_model, label_stride=4)
        ),
        train_dataloader=dict(
            loader, batch_size=batch_size, dataset=dict(loader.dataset, pipeline=crops)
        ),
        optim_wrapper=dict(recipe.optim_wrapper, optimizer=adamw),
    ),
    semi_supervised=dict(
        _base_.semi_supervised, test_dataloader=_base_.stages.evaluate.test_dataloader
    ),
)
