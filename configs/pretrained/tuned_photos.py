# As pretrained_photos.py, but the backbone is trained in fine-tuning (luss train --tune), which
# reads photos instead of stored features.
_base_ = [
    "../pass/pretrained_photos.py",
    "../_base_/pass/labelled_crops.py",
    "../_base_/protocols/tuned_backbone.py",
]

stages = dict(
    finetune=dict(
        model=_base_.tuned_model,
        optim_wrapper=dict(_base_.tuned_optim_wrapper, _delete_=True),
        train_dataloader=dict(dataset=dict(pipeline=_base_.labelled_crops)),
    ),
    report=dict(title="Tuned backbone on photos"),
)
