# PASS_s on photos with a foreground that is learnt without labels (C2AM): after step 1, a 3x3
# convolution on its frozen features learns to split all photos into the same two parts. Its maps
# replace those of pass_s_photos_prior.py.
_base_ = "luss::pass/pass_s_photos_prior.py"
custom_imports = dict(imports=["c2am"])

whole_photo = [
    dict(type="LoadRGBImage"),
    dict(type="ResizeShortSide", size="${config.short_side}"),
    dict(type="PackInputs"),
]
# Nearly complete photos, because maps are computed for complete photos.
one_view = [
    dict(type="LoadRGBImage"),
    dict(type="MultiCrop", views=[dict(count=1, size="${config.short_side}", scale=(0.9, 1.0))]),
    dict(type="PackViews"),
]

stages = dict(
    c2am=dict(
        type="Train",
        before="pixel_attention",
        init=dict(backbone="${pretrain.checkpoint}"),
        model=dict(
            type="C2AM",
            # Only stage 3: with stage 4, as in the paper, such a small network does not separate
            # objects, and frame_lead stays near zero.
            backbone=dict(_base_.backbone, out_indices=(3,)),
            # No colour augmentation, because maps are computed without it.
            data_preprocessor=dict(_base_.views, augmentations=[]),
        ),
        sync_bn="torch",
        train_dataloader=dict(
            batch_size=32,
            drop_last=True,
            sampler=dict(type="EpochSampler", shuffle=True),
            collate_fn=dict(type="default_collate"),
            dataset=dict(split="train", on_unreadable="skip", pipeline=one_view),
        ),
        optim_wrapper=dict(
            type="OptimWrapper",
            optimizer=dict(type="SGD", lr=0.02, momentum=0.9, weight_decay=1e-4),
        ),
        auto_scale_lr=dict(base_batch_size=32),
        param_scheduler=[
            dict(type="CosineAnnealingLR", eta_min=2e-5, by_epoch=True, convert_to_iter_based=True)
        ],
        train_cfg=dict(type="EpochTrainLoop", max_epochs=10),
    ),
    foreground=dict(
        type="Test",
        before="pixel_attention",
        model="${c2am.model}",
        checkpoint="${c2am.checkpoint}",
        data_preprocessor=_base_.stages.label_generation.data_preprocessor,
        test_dataloader=dict(splits="${facts.splits}", dataset=dict(pipeline=whole_photo)),
        test_cfg=dict(type="ForegroundLoop", foreground=dict(type="C2AM")),
    ),
    label_generation=dict(
        test_cfg=dict(
            foreground=dict(_delete_=True, type="FolderOfMaps", folder="${foreground.maps}")
        ),
    ),
    report=dict(title="PASS_s + C2AM on photos"),
)
