# Step 1 of PASS_p, whose L_e is PixPro and the clustering loss. Use it on top of PASS_s:
#   _base_ = ["pass_s_in300.py", "../_base_/pass/pass_p.py"]
#   backbone = dict(out_indices=(2, 3, 4))  # D2S32
#   view_std = _base_.std  # 0.229 for red; PASS_s: 0.228
#   stages = dict(pretrain=_base_.pass_p)
# Crops, colours, optimizer and schedule are those of PixPro. No code of PASS_p was released, and
# the paper gives no weights of the losses. We assume weight 1 each, and the settings of PASS_s in
# step 2. Both views pass through the backbone together, as in PASS_s (PixPro: separately).

# As in BYOL: the first view is always blurred; the second one rarely, and sometimes solarised.
pass_p_colours = [
    dict(
        type="ColorJitter", brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1, probability=0.8
    ),
    dict(type="RandomGrayscale", probability=0.2),
]
pass_p_augmentations = [
    [*pass_p_colours, dict(type="GaussianBlur", radius=(0.1, 2.0), probability=1.0)],
    [
        *pass_p_colours,
        dict(type="GaussianBlur", radius=(0.1, 2.0), probability=0.1),
        dict(type="Solarize", threshold=0.5, probability=0.2),
    ],
]

pass_p = dict(
    model=dict(
        stages=(2, 3, 4),
        objectives=dict(
            d2s=dict(stages=(3, 2)),
            pixpro=dict(
                type="PixPro",
                hidden_channels=4096,
                embedding_channels=256,
                sharpness=2.0,
                max_distance=0.7,
                momentum=0.99,
            ),
        ),
        loss_weights=dict(
            loss_clustering=1.0,
            loss_d2s=1.0,
            loss_p2p=1.0,
            loss_pixpro=1.0,
        ),
        data_preprocessor=dict(augmentations=pass_p_augmentations),
    ),
    # Two views for all splits.
    train_dataloader=dict(
        dataset=dict(
            pipeline=[
                dict(type="LoadRGBImage"),
                dict(
                    type="MultiCrop",
                    views=[dict(count=2, size="${config.crop_size}", scale=(0.08, 1.0))],
                ),
                dict(type="PackViews"),
            ],
        ),
    ),
    optim_wrapper=dict(
        # No LARS adaptation and no weight decay for biases and norms.
        constructor="LARSOptimWrapperConstructor",
        optimizer=dict(lr=1.0, weight_decay=1e-5, decay_first=True),  # lr per 256 images
    ),
    param_scheduler=[
        dict(type="LinearLR", start_factor=0.01, end=5, convert_to_iter_based=True),
        dict(type="CosineAnnealingLR", begin=5, eta_min=1e-6, convert_to_iter_based=True),
    ],
)
