# PASS_s on the built-in demo data, all steps in minutes on two cores. Nothing is downloaded.
_base_ = ["../_base_/pass/pass_s_small.py"]

data = dict(type="demo")

views = [
    dict(type="LoadRGBImage"),
    dict(
        type="MultiCrop",
        views=[
            dict(count=2, size=64, scale=(0.3, 1.0)),
            dict(count=2, size=32, scale=(0.05, 0.3)),
        ],
    ),
    dict(type="PackViews"),
]
two_views = [
    dict(type="LoadRGBImage"),
    dict(type="MultiCrop", views=[dict(count=2, size=64, scale=(0.3, 1.0))]),
    dict(type="PackViews"),
]
whole_image = [
    dict(type="LoadRGBImage"),
    dict(type="LoadMask", optional=True),
    dict(type="ResizeShortSide", size=128),
    dict(type="PackInputs"),
]
stages = dict(
    pretrain=dict(
        model=dict(objectives=dict(clustering=dict(num_prototypes=32))),
        train_dataloader=dict(dataset=dict(pipeline=views)),
        train_cfg=dict(max_epochs=40),
    ),
    pixel_attention=dict(
        model=dict(clustering=dict(num_prototypes=32)),
        train_dataloader=dict(dataset=dict(pipeline=two_views)),
        train_cfg=dict(max_epochs=10),
    ),
    label_generation=dict(
        embedding=dict(pipeline=[*whole_image[:1], *whole_image[2:]]),
        pixels=dict(pipeline=whole_image),
    ),
    finetune=dict(
        train_dataloader=dict(
            dataset=dict(
                pipeline=[
                    dict(type="LoadRGBImage"),
                    dict(type="LoadMask"),
                    dict(type="RandomResizedCropWithMask", size=96, scale=(0.3, 1.0)),
                    dict(type="RandomFlipWithMask"),
                    dict(type="PackInputs"),
                ],
            ),
        ),
        train_cfg=dict(max_epochs=15),
    ),
    evaluate=dict(pipeline=whole_image),
    report=dict(title="PASS_s on the demo data"),
)
