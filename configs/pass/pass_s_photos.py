# PASS_s on a few thousand photos of about 160 px: --cfg-options data_root=DIR. DIR is an ImageNet-S
# split root, or any folder of photos; for the latter add num_categories=C.
_base_ = ["../_base_/pass/pass_s_small.py"]

# Crops of 64 px show photos at about this scale. At 160 px, objects are twice as large as in
# training.
short_side = 96
whole_image = [
    dict(type="LoadRGBImage"),
    dict(type="LoadMask", optional=True),
    dict(type="ResizeShortSide", size=short_side),
    dict(type="PackInputs"),
]

stages = dict(
    # 200,000 image views with 1,200 photos; k-NN stops rising at about 125,000.
    pretrain=dict(train_cfg=dict(max_epochs=165)),
    pixel_attention=dict(train_cfg=dict(max_epochs=5)),
    label_generation=dict(
        embedding=dict(
            pipeline=[
                dict(type="LoadRGBImage"),
                dict(type="ResizeShortSide", size=short_side),
                dict(type="CenterCrop", crop_size=short_side),
                dict(type="PackInputs"),
            ],
        ),
        pixels=dict(pipeline=whole_image),
    ),
    finetune=dict(
        train_dataloader=dict(
            dataset=dict(
                pipeline=[
                    _base_.find_labels,
                    dict(type="LoadRGBImage"),
                    dict(type="LoadMask"),
                    # Nearly complete photos, as at inference: the background helps to recognise an
                    # object.
                    dict(type="RandomResizedCropWithMask", size=short_side, scale=(0.6, 1.0)),
                    dict(type="RandomFlipWithMask"),
                    dict(type="PackInputs"),
                ],
            ),
        ),
        train_cfg=dict(max_epochs=15),
    ),
    # Edges follow the photo. Configs of the paper do not refine; refiner=None for comparisons.
    evaluate=dict(pipeline=whole_image, refiner=dict(type="PAMR")),
    report=dict(title="PASS_s on photos"),
)
