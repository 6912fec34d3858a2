# PASS_s on the built-in demo data, all steps in minutes on two cores. Nothing is downloaded.
# A prior without training separates objects, and the features pooled over it give their category,
# because attention cannot separate objects after a training of minutes.
_base_ = ["../_base_/pass/pass_s_small.py"]

data = dict(type="demo")

# Colour and brightness do not depend on the category here, so views must not share them: half of
# the views are grey, half are inverted. Crops are large enough to contain a part of the object.
color_augmentations = [
    dict(
        type="ColorJitter", brightness=0.6, contrast=0.6, saturation=0.6, hue=0.15, probability=0.8
    ),
    dict(type="RandomGrayscale", probability=0.5),
    dict(type="Solarize", threshold=0.0, probability=0.5),
    dict(type="GaussianBlur", radius=(0.1, 1.0), probability=0.5),
]
view_preprocessor = dict(augmentations=color_augmentations)
two_views = [
    dict(type="LoadRGBImage"),
    dict(type="MultiCrop", views=[dict(count=2, size=64, scale=(0.4, 1.0))]),
    dict(type="PackViews"),
]
whole_image = [
    dict(type="LoadRGBImage"),
    dict(type="LoadMask", optional=True),
    dict(type="ResizeShortSide", size=128),
    dict(type="PackInputs"),
]
# Colour distance to the photo's frame, times closeness to its centre.
prior = dict(type="ProductOfMaps", sources=[dict(type="BoundaryPrior"), dict(type="CentrePrior")])
lars = dict(optimizer=dict(lr=1.2))
cosine = [dict(type="CosineAnnealingLR", eta_min=1.2e-3, by_epoch=True, convert_to_iter_based=True)]

stages = dict(
    pretrain=dict(
        model=dict(
            objectives=dict(clustering=dict(num_prototypes=32)),
            data_preprocessor=view_preprocessor,
        ),
        # Batches of 32 give half the updates in the same time; whether they suffice then depends on
        # rounding, such as by the number of threads.
        train_dataloader=dict(batch_size=16, dataset=dict(pipeline=two_views)),
        optim_wrapper=lars,
        param_scheduler=cosine,
        train_cfg=dict(max_epochs=24),
    ),
    pixel_attention=dict(
        model=dict(
            clustering=dict(num_prototypes=32),
            data_preprocessor=view_preprocessor,
        ),
        train_dataloader=dict(dataset=dict(pipeline=two_views)),
        optim_wrapper=lars,
        param_scheduler=cosine,
        train_cfg=dict(max_epochs=5),
    ),
    label_generation=dict(
        foreground=prior,
        embedding=dict(
            type="ForegroundEmbeddings",
            attention=False,
            pipeline=[
                dict(type="LoadRGBImage"),
                dict(type="ResizeShortSide", size=128),
                dict(type="LoadForegroundAsMask"),
                dict(type="PackInputs"),
            ],
        ),
        pixels=dict(type="ImageLabels", over_foreground=True, pipeline=whole_image),
    ),
    finetune=dict(
        optim_wrapper=lars,
        param_scheduler=cosine,
        train_cfg=dict(max_epochs=10),
    ),
    evaluate=dict(pipeline=whole_image),
    report=dict(title="PASS_s on the demo data"),
)
