# PASS_s on photos for vision transformers with patches of 14 pixels. The sides of all images are
# multiples of 14, because feature maps cover the complete image.
_base_ = ["../../pass/pass_s_photos.py"]

short_side = 224
load, pack = dict(type="LoadRGBImage"), dict(type="PackInputs")
load_mask = dict(type="LoadMask", optional=True)
resize = dict(type="ResizeShortSide", size=short_side, multiple_of=14)
square = [resize, dict(type="CenterCrop", crop_size=short_side)]
whole_image = [load, load_mask, resize, pack]
two_views = [
    load,
    dict(type="MultiCrop", views=[dict(count=2, size=short_side, scale=(0.2, 1.0))]),
    dict(type="PackViews"),
]
crops = [
    _base_.find_labels,
    load,
    dict(type="LoadMask"),
    dict(type="RandomResizedCropWithMask", size=short_side, scale=(0.6, 1.0)),
    dict(type="RandomFlipWithMask"),
    pack,
]
stages = dict(
    pixel_attention=dict(
        model=dict(data_preprocessor=dict(std=_base_.std)),  # 0.229, as for the weights; not SwAV's
        train_dataloader=dict(dataset=dict(pipeline=two_views)),
    ),
    label_generation=dict(
        embedding=dict(pipeline=[load, *square, pack]),
        pixels=dict(pipeline=whole_image),
    ),
    finetune=dict(train_dataloader=dict(dataset=dict(pipeline=crops))),
    evaluate=dict(pipeline=whole_image),
)
