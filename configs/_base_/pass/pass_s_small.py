# PASS_s for a few thousand small photos (96 to 160 px) on a CPU: a narrow ResNet-18 whose last
# stage keeps its resolution (stride 16), so that small crops still have a feature map to align.
_base_ = ["pass_s.py"]

width = 16
hidden = 128
narrow = dict(
    type="mmselfsup.ResNet",
    depth=18,
    stem_channels=width,
    base_channels=width,
    strides=(1, 2, 2, 1),
)
# At this size, SwAV stays at ln K unless codes are hard (epsilon 0.03) and prototypes frozen:
# trained prototypes collapse before the features separate anything.
never = 10**9
clustering = dict(
    type="Clustering",
    hidden_channels=hidden,
    num_prototypes=64,
    epsilon=0.03,
    queue_length=0,
    frozen_prototype_iters=never,
)
color_augmentations = [
    dict(
        type="ColorJitter", brightness=0.3, contrast=0.3, saturation=0.3, hue=0.08, probability=0.8
    ),
    dict(type="RandomGrayscale", probability=0.1),
    dict(type="GaussianBlur", radius=(0.1, 1.0), probability=0.5),
]
view_preprocessor = dict(augmentations=color_augmentations)
views = [
    dict(type="LoadRGBImage"),
    dict(
        type="MultiCrop",
        views=[
            dict(count=2, size=64, scale=(0.2, 1.0)),
            dict(count=2, size=32, scale=(0.05, 0.2)),
        ],
    ),
    dict(type="PackViews"),
]
two_views = [
    dict(type="LoadRGBImage"),
    dict(type="MultiCrop", views=[dict(count=2, size=64, scale=(0.2, 1.0))]),
    dict(type="PackViews"),
]
whole_image = [
    dict(type="LoadRGBImage"),
    dict(type="LoadMask", optional=True),
    dict(type="ResizeShortSide", size=160),
    dict(type="PackInputs"),
]
lars = dict(type="OptimWrapper", optimizer=dict(lr=1.5))
auto_scale_lr = dict(base_batch_size=32)
cosine = [dict(type="CosineAnnealingLR", eta_min=1.5e-3, by_epoch=True, convert_to_iter_based=True)]

stages = dict(
    pretrain=dict(
        model=dict(
            backbone=dict(_delete_=True, out_indices=(3, 4), **narrow),
            objectives=dict(
                clustering=dict(_delete_=True, **clustering),
                d2s=dict(hidden_channels=hidden),
                p2p=dict(hidden_channels=hidden),
            ),
            data_preprocessor=view_preprocessor,
        ),
        train_dataloader=dict(batch_size=32, dataset=dict(pipeline=views)),
        optim_wrapper=lars,
        param_scheduler=cosine,
        train_cfg=dict(max_epochs=100),
    ),
    pixel_attention=dict(
        model=dict(
            backbone=dict(_delete_=True, out_indices=(4,), **narrow),
            clustering=dict(clustering, _delete_=True),
            data_preprocessor=view_preprocessor,
        ),
        train_dataloader=dict(batch_size=32, dataset=dict(pipeline=two_views)),
        optim_wrapper=lars,
        param_scheduler=cosine,
        train_cfg=dict(max_epochs=20),
    ),
    label_generation=dict(
        embedding=dict(
            pipeline=[
                dict(type="LoadRGBImage"),
                dict(type="ResizeShortSide", size=160),
                dict(type="CenterCrop", crop_size=144),
                dict(type="PackInputs"),
            ],
        ),
        pixels=dict(pipeline=whole_image),
    ),
    finetune=dict(
        model=dict(
            backbone=dict(_delete_=True, out_indices=(4,), **narrow),
        ),
        train_dataloader=dict(
            batch_size=32,
            dataset=dict(
                pipeline=[
                    _base_.find_labels,
                    dict(type="LoadRGBImage"),
                    dict(type="LoadMask"),
                    dict(type="RandomResizedCropWithMask", size=96, scale=(0.3, 1.0)),
                    dict(type="RandomFlipWithMask"),
                    dict(type="PackInputs"),
                ],
            ),
        ),
        optim_wrapper=lars,
        param_scheduler=cosine,
        train_cfg=dict(max_epochs=20),
    ),
    evaluate=dict(
        pipeline=whole_image,
    ),
)
