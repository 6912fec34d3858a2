# PASS_s on photos for vision transformers with patches of 14 pixels. The sides of all images are
# multiples of 14, because feature maps cover the complete image.
_base_ = ["../../pass/pass_s_photos.py"]

short_side = 224
load, pack = dict(type="LoadRGBImage"), dict(type="PackInputs")
resize = dict(type="ResizeShortSide", size="${config.short_side}", multiple_of=14)
square = [load, resize, dict(type="CenterCrop", crop_size="${config.short_side}"), pack]
whole_photo = [load, dict(type="LoadMask", optional=True), resize, pack]
two_views = [
    load,
    dict(type="MultiCrop", views=[dict(count=2, size="${config.short_side}", scale=(0.2, 1.0))]),
    dict(type="PackViews"),
]
photos = dict(dataset=dict(pipeline=whole_photo))
stages = dict(
    pixel_attention=dict(
        model=dict(data_preprocessor=dict(std=_base_.std)),  # 0.229, as for the weights; not SwAV's
        train_dataloader=dict(dataset=dict(pipeline=two_views)),
    ),
    label_generation=dict(
        test_dataloader=dict(
            embedding=dict(dataset=dict(pipeline=square)), pixels=photos, validation=photos
        ),
    ),
    evaluate=dict(test_dataloader=photos),
)
