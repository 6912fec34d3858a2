# ruff: noqa: C408
# PASS_s so small that all steps take seconds. A queue that fills, prototypes that are frozen at
# first and epochs of several iterations, so that each has a state to lose.
_base_ = ["../../configs/pass/pass_s_in300.py"]

data = dict(type="demo", size=48, train=3, train_semi=1, validation=1, test=1)
seed = 3
default_hooks = dict(logger=dict(interval=1))
backbone = dict(depth=18, stem_channels=8, base_channels=8, strides=(1, 2, 2, 1))
hidden_channels = 16
short_side = 48
crop_size = 32
clustering = dict(
    num_prototypes=10,
    epsilon=0.1,
    queue_length=9,
    queue_start_epoch=1,
    frozen_prototype_iters=3,
)
multi_crop = [
    dict(type="LoadRGBImage"),
    dict(
        type="MultiCrop",
        views=[
            dict(count=2, size="${config.crop_size}", scale=(0.3, 1.0)),
            dict(count=1, size=16, scale=(0.05, 0.3)),
        ],
    ),
    dict(type="PackViews"),
]
two_views = [
    dict(type="LoadRGBImage"),
    dict(type="MultiCrop", views=[dict(count=2, size="${config.crop_size}", scale=(0.3, 1.0))]),
    dict(type="PackViews"),
]
crops = list(_base_.stages.finetune.train_dataloader.dataset.pipeline)
crops[3] = dict(crops[3], scale=(0.3, 1.0))
stages = dict(
    pretrain=dict(
        model=dict(objectives=dict(clustering=clustering)),
        train_dataloader=dict(batch_size=4, dataset=dict(pipeline=multi_crop)),
        train_cfg=dict(max_epochs=3),
    ),
    pixel_attention=dict(
        model=dict(clustering=dict(clustering, queue_start_epoch=0, frozen_prototype_iters=0)),
        train_dataloader=dict(batch_size=4, dataset=dict(pipeline=two_views)),
        train_cfg=dict(max_epochs=2),
    ),
    label_generation=dict(
        test_dataloader=dict(
            embedding=dict(
                batch_size=4,
                dataset=dict(
                    pipeline=[
                        dict(type="LoadRGBImage"),
                        dict(type="ResizeShortSide", size="${config.short_side}"),
                        dict(type="PackInputs"),
                    ]
                ),
            ),
        ),
        test_cfg=dict(
            generator=dict(type="FaissKMeans", restarts=3, iterations=5), num_attention_maps=2
        ),
    ),
    finetune=dict(
        seed=None,
        train_dataloader=dict(batch_size=4, dataset=dict(pipeline=crops)),
        train_cfg=dict(max_epochs=3),
    ),
)
