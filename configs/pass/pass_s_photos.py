# PASS_s on a few thousand photos of about 160 px: --cfg-options data_root=DIR. DIR is an ImageNet-S
# split root, or any folder of photos; for the latter add num_categories=C.
#
# A narrow ResNet-18 whose last stage keeps its resolution (stride 16), so that small crops still
# have a feature map to align; for the CPU. Child configs and --cfg-options override any setting.
# ${stage.output} is what another stage wrote, ${facts.name} a fact of the data, ${config.name} a
# setting of this level; see docs/training.md.
_base_ = ["../_base_/default_runtime.py"]

# Folder of the photos: an ImageNet-S split root, or any folder of photos.
data_root = None
data = dict(type="auto")  # detects the layout of the folder
# Number of categories to discover; None uses the number of class folders.
num_categories = None

# ---- what users change --------------------------------------------------------------------------
# Widths of feature maps are inferred from the backbone.
backbone = dict(
    type="mmselfsup.ResNet",
    depth=18,
    stem_channels=16,
    base_channels=16,
    strides=(1, 2, 2, 1),
    out_indices=(3, 4),  # stages, numbered as in the paper; their features have losses
)
hidden_channels = 128  # of all projectors
# Of whole photos, for labels, fine-tuning and evaluation. Pretraining's crops of 64 px show 20 to
# 100 % of a photo, so objects in them are about as large as in whole photos of 96 px.
short_side = 96
crop_size = 64
small_crop_size = 32
# Of red, green and blue in [0, 1].
mean = (0.485, 0.456, 0.406)
std = (0.229, 0.224, 0.225)
# In steps 1 and 2.1, as in the released code.
view_std = (0.228, 0.224, 0.225)
# By which sides of whole photos are divisible, for patches of vision transformers.
multiple = None
# Matches discovered categories to true ones, for the threshold and for metrics.
matcher = dict(type="ImageLevelMatcher")

# ---- shared by several stages -------------------------------------------------------------------
normalisation = dict(mean="${config.mean}", std="${config.std}")
views = dict(
    type="ViewPreprocessor",
    mean="${config.mean}",
    std="${config.view_std}",
    augmentations=[
        dict(
            type="ColorJitter",
            brightness=0.3,
            contrast=0.3,
            saturation=0.3,
            hue=0.08,
            probability=0.8,
        ),
        dict(type="RandomGrayscale", probability=0.1),
        dict(type="GaussianBlur", radius=(0.1, 1.0), probability=0.5),
    ],
)
multi_crop = [
    dict(type="LoadRGBImage"),
    dict(
        type="MultiCrop",
        views=[
            dict(count=2, size="${config.crop_size}", scale=(0.2, 1.0)),
            dict(count=2, size="${config.small_crop_size}", scale=(0.05, 0.2)),
        ],
    ),
    dict(type="PackViews"),
]
two_views = [
    dict(type="LoadRGBImage"),
    dict(type="MultiCrop", views=[dict(count=2, size="${config.crop_size}", scale=(0.2, 1.0))]),
    dict(type="PackViews"),
]
resize = dict(type="ResizeShortSide", size="${config.short_side}", multiple_of="${config.multiple}")
whole_photo = [
    dict(type="LoadRGBImage"),
    dict(type="LoadMask", optional=True),
    resize,
    dict(type="PackInputs"),
]
# At this size, SwAV stays at ln K unless codes are hard (epsilon 0.03) and prototypes frozen:
# trained prototypes collapse before the features separate anything.
clustering = dict(
    type="Clustering",
    hidden_channels="${config.hidden_channels}",
    num_prototypes=64,
    epsilon=0.03,
    queue_length=0,
    frozen_prototype_iters=10**9,
)
cosine = [dict(type="CosineAnnealingLR", eta_min=1.5e-3, by_epoch=True, convert_to_iter_based=True)]
lars = dict(
    type="OptimWrapper", optimizer=dict(type="LARS", lr=1.5, momentum=0.9, weight_decay=1e-6)
)
# Images per step over all processes for these learning rates; --auto-scale-lr scales them with the
# batch.
auto_scale_lr = dict(base_batch_size=32)
view_loader = dict(
    batch_size=32,
    drop_last=True,
    sampler=dict(type="EpochSampler", shuffle=True),
    collate_fn=dict(type="default_collate"),
    dataset=dict(split="train", on_unreadable="skip", pipeline=two_views),
)

stages = dict(
    # Step 1, equation 5. 200,000 image views with 1,200 photos; k-NN stops rising at about 125,000.
    pretrain=dict(
        type="Train",
        pretrained="${facts.weights}",  # with weights=FILE, nothing is trained
        model=dict(
            type="PASSPretrainer",
            backbone="${config.backbone}",
            stages=(3, 4),
            objectives=dict(
                clustering=clustering,
                d2s=dict(type="D2S", stages=(3,), hidden_channels="${config.hidden_channels}"),
                p2p=dict(type="P2P", hidden_channels="${config.hidden_channels}"),
            ),
            loss_weights=dict(loss_clustering=0.5, loss_d2s=0.5, loss_p2p=1.0),
            data_preprocessor=views,
        ),
        sync_bn="torch",
        train_dataloader=dict(
            view_loader, dataset=dict(view_loader["dataset"], pipeline=multi_crop)
        ),
        optim_wrapper=lars,
        param_scheduler=cosine,
        train_cfg=dict(type="EpochTrainLoop", max_epochs=165),
        custom_hooks=[dict(type="ClusteringHook"), dict(type="CollapseHook")],
    ),
    # Step 2.1, equation 6.
    pixel_attention=dict(
        type="Train",
        init={
            "backbone": "${pretrain.checkpoint}",
            "objectives.clustering.projector": "${pretrain.checkpoint}",
            "objectives.clustering.prototypes": "${pretrain.checkpoint}",
        },
        model=dict(
            type="PixelAttentionTrainer",
            backbone="${config.backbone}",
            attention=dict(type="PixelAttention"),
            clustering=clustering,
            data_preprocessor=views,
        ),
        sync_bn="torch",
        train_dataloader=view_loader,
        optim_wrapper=lars,
        param_scheduler=cosine,
        train_cfg=dict(type="EpochTrainLoop", max_epochs=5),
        custom_hooks=[dict(type="ClusteringHook"), dict(type="CollapseHook")],
    ),
    # Steps 2.2 to 2.4, equation 7.
    label_generation=dict(
        type="Test",
        model="${pixel_attention.model}",
        checkpoint="${pixel_attention.checkpoint}",
        data_preprocessor=dict(type="ViewPreprocessor", **normalisation),
        test_dataloader=dict(
            # Photos to cluster.
            embedding=dict(
                batch_size=32,
                dataset=dict(
                    split="train",
                    on_unreadable="skip",
                    pipeline=[
                        dict(type="LoadRGBImage"),
                        resize,
                        dict(type="CenterCrop", crop_size="${config.short_side}"),
                        dict(type="PackInputs"),
                    ],
                ),
            ),
            # Photos to label.
            pixels=dict(dataset=dict(split="train", on_unreadable="skip", pipeline=whole_photo)),
            # Photos to choose the threshold on; left out without true masks.
            validation=dict(
                only_with_masks=True,
                dataset=dict(split="validation", require_masks=True, pipeline=whole_photo),
            ),
        ),
        test_cfg=dict(
            type="LabelGenerationLoop",
            num_categories="${facts.num_categories}",
            embedder=dict(type="ImageEmbeddings"),
            generator=dict(type="FaissKMeans", iterations=20, restarts=30),
            foreground=dict(type="Attention"),
            threshold=dict(type="AutoThreshold"),
            matcher="${config.matcher}",
            writer=dict(type="PixelLabels"),
        ),
    ),
    # Step 3: starts from the backbone of step 1; labels are unmatched generated ids.
    finetune=dict(
        type="Train",
        init=dict(backbone="${pretrain.checkpoint}"),
        model=dict(
            type="PassSegmentor",
            label_stride=2,  # the loss reads every second row and column of the labels
            data_preprocessor=dict(type="PhotometricSegPreprocessor", **normalisation, unit=255),
            backbone="${config.backbone}",
            # Classes are the discovered categories and 'other'.
            decode_head=dict(type="PassHead", in_index=-1, num_classes="${facts.num_outputs}"),
        ),
        sync_bn="torch",
        train_dataloader=dict(
            batch_size=32,
            drop_last=True,
            sampler=dict(type="EpochSampler", shuffle=True),
            collate_fn=dict(type="pseudo_collate"),
            dataset=dict(
                split="train",
                on_unreadable="skip",
                # Photos that could not be read have no label.
                without="${label_generation.unlabelled}",
                pipeline=[
                    dict(
                        type="FindMask",
                        root="${label_generation.pseudo_labels}",
                        num_classes="${facts.num_categories}",
                    ),
                    dict(type="LoadRGBImage"),
                    dict(type="LoadMask"),
                    # Nearly complete photos, as at inference: the background helps to recognise an
                    # object.
                    dict(
                        type="RandomResizedCropWithMask",
                        size="${config.short_side}",
                        scale=(0.6, 1.0),
                    ),
                    dict(type="RandomFlipWithMask"),
                    dict(type="PackInputs"),
                ],
            ),
        ),
        optim_wrapper=lars,
        param_scheduler=cosine,
        train_cfg=dict(type="EpochTrainLoop", max_epochs=15),
    ),
    # Step 4.
    evaluate=dict(
        type="Test",
        protocol=dict(
            type="FullyUnsupervised",
            matcher="${config.matcher}",
            threshold="${label_generation.threshold}",
            clustering="${label_generation.clustering}",
        ),
        model="${finetune.model}",
        checkpoint="${finetune.checkpoint}",
        # Edges follow the photo. Configs of the paper do not refine; refiner=None for comparisons.
        refiner=dict(type="PAMR"),
        test_dataloader=dict(
            splits="${facts.evaluated_splits}", dataset=dict(pipeline=whole_photo)
        ),
    ),
    report=dict(type="Report", title="PASS_s on photos"),
)
