# As pretrained_photos.py, but the backbone is trained in fine-tuning (luss train --tune), so it
# reads photos instead of stored features.
_base_ = ["../pass/pretrained_photos.py", "../_base_/protocols/tuned_backbone.py"]

find_mask = _base_.stages.finetune.train_dataloader.dataset.pipeline[0]
crops = [
    find_mask,
    _base_.load,
    dict(type="LoadMask"),
    dict(type="RandomResizedCropWithMask", size="${config.short_side}", scale=(0.6, 1.0)),
    dict(type="RandomFlipWithMask"),
    _base_.pack,
]
stages = dict(
    finetune=dict(
        model=_base_.tuned_model,
        optim_wrapper=dict(_base_.tuned_optim_wrapper, _delete_=True),
        train_dataloader=dict(dataset=dict(pipeline=crops)),
    ),
    report=dict(title="Tuned backbone on photos"),
)
