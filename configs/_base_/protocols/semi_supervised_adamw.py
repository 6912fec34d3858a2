# A later semi-supervised recipe by the same authors (ImageNetSegModel): AdamW, layer-wise learning
# rate decay, 100 epochs with 5 warm-up epochs, SwAV's colours and blur. With PASS_s pretrained on
# all of ImageNet-1k: test mIoU 20.3 at stride 32, 20.8 at stride 16. Unlike their code, luss
# synchronises batch norm, up-samples logits once by four instead of twice by two, and predicts
# large images by the rule of step 4; see docs/deviations.md.
# weights=FILE, a local checkpoint of luss or OpenMMLab, replaces pretraining.

# 0.45 at stride 16; ViT-S 0.5, ViT-B 0.6, both with weight decay 0.05 and, in the backbone,
# drop_path_rate=0.1.
layer_decay = 0.4
base_lr = 5e-4  # per 256 images

true_head = dict(type="PassHead", in_index=-1, num_classes="${facts.num_true_outputs}")
semi_supervised_model = dict(
    decode_head=true_head,
    # Every eighth pixel: a quarter of the feature map's stride, as in the authors' code.
    label_stride=8,
    data_preprocessor=dict(
        type="PhotometricSegPreprocessor",
        mean="${config.mean}",
        std="${config.std}",
        unit=255,
        augmentations=[
            dict(
                type="ColorJitter",
                brightness=0.8,
                contrast=0.8,
                saturation=0.8,
                hue=0.2,
                probability=0.8,
            ),
            dict(type="RandomGrayscale", probability=0.2),
            dict(type="GaussianBlur", radius=(0.1, 2.0), probability=0.5),
        ],
    ),
)
finetune_semi = dict(
    type="Train",
    init=dict(backbone="${pretrain.checkpoint}"),
    sync_bn="torch",
    train_dataloader=dict(
        batch_size=32,  # 8 GPUs: 256
        drop_last=False,
        sampler=dict(type="EpochSampler", shuffle=True),
        collate_fn=dict(type="pseudo_collate"),
        dataset=dict(
            split="train-semi",
            require_masks=True,
            pipeline=[
                dict(type="LoadRGBImage"),
                dict(type="LoadMask"),
                dict(
                    type="RandomResizedCropWithMask", size="${config.crop_size}", scale=(0.14, 1.0)
                ),
                dict(type="RandomFlipWithMask"),
                dict(type="PackInputs"),
            ],
        ),
    ),
    optim_wrapper=dict(
        type="AmpOptimWrapper",
        constructor="LayerDecayOptimWrapperConstructor",
        paramwise_cfg=dict(layer_decay=layer_decay),
        optimizer=dict(type="AdamW", lr=base_lr, weight_decay=5e-4),
    ),
    # 1e-6 for the last layer, in proportion for the others.
    param_scheduler=[
        dict(type="LinearLR", start_factor=1e-6, end=5, convert_to_iter_based=True),
        dict(
            type="CosineAnnealingLR",
            begin=5,
            eta_min=None,
            eta_min_ratio=1e-6 / base_lr,
            convert_to_iter_based=True,
        ),
    ],
    train_cfg=dict(type="EpochTrainLoop", max_epochs=100),
)
semi_supervised = dict(
    type="Test",
    protocol=dict(type="SemiSupervised"),
    model="${finetune_semi.model}",
    checkpoint="${finetune_semi.checkpoint}",
)
