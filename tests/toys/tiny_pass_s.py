# ruff: noqa: C408
# PASS_s so small that all steps take seconds. A queue that fills, prototypes that are frozen at
# first and epochs of several iterations, so that each has a state to lose.
_base_ = ["../../configs/_base_/pass/pass_s.py"]

data = dict(type="demo", size=48, train=3, train_semi=1, validation=1, test=1)
seed = 3
default_hooks = dict(logger=dict(interval=1))
backbone = dict(
    type="mmselfsup.ResNet", depth=18, stem_channels=8, base_channels=8, strides=(1, 2, 2, 1)
)
clustering = dict(
    hidden_channels=16,
    num_prototypes=10,
    epsilon=0.1,
    queue_length=9,
    queue_start_epoch=1,
    frozen_prototype_iters=3,
)
views = [
    dict(type="LoadRGBImage"),
    dict(
        type="MultiCrop",
        views=[
            dict(count=2, size=32, scale=(0.3, 1.0)),
            dict(count=1, size=16, scale=(0.05, 0.3)),
        ],
    ),
    dict(type="PackViews"),
]
two_views = [
    dict(type="LoadRGBImage"),
    dict(type="MultiCrop", views=[dict(count=2, size=32, scale=(0.3, 1.0))]),
    dict(type="PackViews"),
]
whole_image = [
    dict(type="LoadRGBImage"),
    dict(type="LoadMask", optional=True),
    dict(type="ResizeShortSide", size=48),
    dict(type="PackInputs"),
]
stages = dict(
    pretrain=dict(
        model=dict(
            backbone=dict(_delete_=True, out_indices=(3, 4), **backbone),
            objectives=dict(
                clustering=clustering,
                d2s=dict(hidden_channels=16),
                p2p=dict(hidden_channels=16),
            ),
        ),
        train_dataloader=dict(batch_size=4, dataset=dict(pipeline=views)),
        train_cfg=dict(max_epochs=3),
    ),
    pixel_attention=dict(
        model=dict(
            backbone=dict(_delete_=True, out_indices=(4,), **backbone),
            clustering=dict(clustering, queue_start_epoch=0, frozen_prototype_iters=0),
        ),
        train_dataloader=dict(batch_size=4, dataset=dict(pipeline=two_views)),
        train_cfg=dict(max_epochs=2),
    ),
    label_generation=dict(
        generator=dict(restarts=3, iterations=5),
        embedding=dict(batch_size=4, pipeline=[whole_image[0], *whole_image[2:]]),
        pixels=dict(pipeline=whole_image),
        num_attention_maps=2,
    ),
    finetune=dict(
        model=dict(
            backbone=dict(_delete_=True, out_indices=(4,), **backbone),
        ),
        train_dataloader=dict(
            batch_size=4,
            dataset=dict(
                pipeline=[
                    _base_.find_labels,
                    dict(type="LoadRGBImage"),
                    dict(type="LoadMask"),
                    dict(type="RandomResizedCropWithMask", size=32, scale=(0.3, 1.0)),
                    dict(type="RandomFlipWithMask"),
                    dict(type="PackInputs"),
                ]
            ),
        ),
        train_cfg=dict(max_epochs=3),
    ),
    evaluate=dict(pipeline=whole_image),
)
