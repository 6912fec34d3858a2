# PASS_s on photos with the foreground of pass_s_photos_prior.py, which also teaches attention. The
# maps are computed first; their loss has weight 0.9, the clustering loss 0.1.
_base_ = "luss::pass/pass_s_photos_prior.py"
custom_imports = dict(imports=["taught_foreground"])

two_views = [
    dict(type="LoadRGBImage"),
    dict(type="LoadForegroundAsMask", folder="${foreground.maps}/train"),
    dict(type="MultiCrop", views=[dict(count=2, size="${config.crop_size}", scale=(0.2, 1.0))]),
    dict(type="PackViewsAndMap"),
]

stages = dict(
    foreground=dict(
        type="Test",
        before="pixel_attention",
        test_dataloader=dict(splits="${facts.splits}", dataset=dict()),
        test_cfg=dict(
            type="ForegroundLoop", foreground=_base_.stages.label_generation.test_cfg.foreground
        ),
    ),
    pixel_attention=dict(
        model=dict(type="TaughtAttentionTrainer", weight=0.9),
        train_dataloader=dict(dataset=dict(pipeline=two_views)),
    ),
    label_generation=dict(
        test_cfg=dict(
            foreground=dict(_delete_=True, type="FolderOfMaps", folder="${foreground.maps}")
        ),
    ),
    report=dict(title="PASS_s + prior as teacher on photos"),
)
