# A frozen pretrained backbone on ImageNet-S50, as in pretrained_photos.py:
#   python tools/train.py configs/pretrained/in50.py --cfg-options data_root=.../ImageNetS50 \
#       backbone.preset=dinov2_vits14 backbone.weights=FILE
# For rows beside the paper's, photos have its size, and predictions are of one scale and not
# refined. Epochs are not tuned. Stages read photos: stored features of so many would fill disks.
_base_ = ["../pass/pretrained_photos.py", "../_base_/pass/labelled_crops.py"]

short_side = 256
over_foreground = [
    _base_.load,
    _base_.resize,
    dict(type="LoadForegroundAsMask", folder="${label_generation.foreground}/train"),
    dict(type="CenterCrop", crop_size="${config.short_side}"),
    _base_.pack,
]
whole = dict(dataset=dict(pipeline=_base_.whole_photo))
stages = dict(
    features=None,
    label_generation=dict(
        test_dataloader=dict(
            embedding=dict(dataset=dict(pipeline=over_foreground)), pixels=whole, validation=whole
        ),
        # Distributed over all GPUs.
        test_cfg=dict(
            generator=dict(_delete_=True, type="TorchKMeans", iterations=20, restarts=30)
        ),
    ),
    finetune=dict(
        model=dict(scales=(1,)),
        train_dataloader=dict(dataset=dict(pipeline=_base_.labelled_crops)),
    ),
    evaluate=dict(refiner=None),
    report=dict(title="Frozen backbone on ImageNet-S"),
)
