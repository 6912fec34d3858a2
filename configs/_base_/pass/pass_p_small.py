# Step 1 of PASS_p for small photos on a CPU. Use it on top of PASS_s for small photos, see
# pass_p.py.
_base_ = ["pass_p.py"]

pass_p_colours = [
    dict(
        type="ColorJitter", brightness=0.3, contrast=0.3, saturation=0.3, hue=0.08, probability=0.8
    ),
    dict(type="RandomGrayscale", probability=0.1),
]
pass_p_augmentations = [
    [*pass_p_colours, dict(type="GaussianBlur", radius=(0.1, 1.0), probability=1.0)],
    [
        *pass_p_colours,
        dict(type="GaussianBlur", radius=(0.1, 1.0), probability=0.1),
        dict(type="Solarize", threshold=0.5, probability=0.2),
    ],
]
pass_p = dict(
    model=dict(
        objectives=dict(pixpro=dict(hidden_channels=256, embedding_channels=64)),
        data_preprocessor=dict(augmentations=pass_p_augmentations),
    ),
    train_dataloader=dict(
        dataset=dict(
            pipeline=[
                dict(type="LoadRGBImage"),
                dict(
                    type="MultiCrop",
                    views=[dict(count=2, size="${config.crop_size}", scale=(0.2, 1.0))],
                ),
                dict(type="PackViews"),
            ],
        ),
    ),
)
