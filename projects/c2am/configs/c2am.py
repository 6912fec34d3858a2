# PASS_s on photos with a foreground that is learnt without labels (C2AM): after step 1, a 3x3
# convolution on its frozen features learns to split all photos into the same two parts. Its maps
# replace those of pass_s_photos_prior.py.
_base_ = "luss::pass/pass_s_photos_prior.py"
custom_imports = dict(imports=["c2am"])

short_side = _base_.short_side
whole_photo = [
    dict(type="LoadRGBImage"),
    dict(type="ResizeShortSide", size=short_side),
    dict(type="PackInputs"),
]
# Nearly complete photos, because maps are computed for complete photos.
one_view = [
    dict(type="LoadRGBImage"),
    dict(type="MultiCrop", views=[dict(count=1, size=short_side, scale=(0.9, 1.0))]),
    dict(type="PackViews"),
]

stages = dict(
    c2am=dict(
        type="TrainStage",
        before="pixel_attention",
        init=dict(backbone="${pretrain.checkpoint}"),
        model=dict(
            type="C2AM",
            # Only stage 3: with stage 4, as in the paper, such a small network does not separate
            # objects, and frame_lead stays near zero.
            backbone=dict(_base_.stages.pretrain.model.backbone, out_indices=(3,)),
            # No colour augmentation, because maps are computed without it.
            data_preprocessor=dict(
                _base_.stages.pretrain.model.data_preprocessor, augmentations=[]
            ),
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
        type="ForegroundStage",
        before="pixel_attention",
        model_from="c2am",
        foreground=dict(type="C2AM"),
        pipeline=whole_photo,
        preprocessor=_base_.stages.label_generation.preprocessor,
    ),
    label_generation=dict(
        foreground=dict(_delete_=True, type="FolderOfMaps", folder="${foreground.maps}"),
    ),
    report=dict(title="PASS_s + C2AM on photos"),
)
