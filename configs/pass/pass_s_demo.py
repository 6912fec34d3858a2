# PASS_s on the built-in demo data, all steps in minutes on two cores. Nothing is downloaded.
# A prior without training separates objects, and the features pooled over it give their category,
# because attention cannot separate objects after a training of minutes.
#
# ${stage.output} is what another stage wrote, ${facts.name} a fact of the data, ${config.name} a
# setting of this level; see docs/training.md.
_base_ = ["../_base_/default_runtime.py"]

data_root = None  # WORK_DIR/data
data = dict(type="demo")  # draws the photos, with true masks
num_categories = None  # as many as there are class folders

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
short_side = 128  # of whole photos, for labels and evaluation
crop_size = 64
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
    # Colour and brightness do not depend on the category here, so views must not share them: half
    # of the views are grey, half are inverted. Crops are large enough to contain a part of the
    # object.
    augmentations=[
        dict(
            type="ColorJitter",
            brightness=0.6,
            contrast=0.6,
            saturation=0.6,
            hue=0.15,
            probability=0.8,
        ),
        dict(type="RandomGrayscale", probability=0.5),
        dict(type="Solarize", threshold=0.0, probability=0.5),
        dict(type="GaussianBlur", radius=(0.1, 1.0), probability=0.5),
    ],
)
two_views = [
    dict(type="LoadRGBImage"),
    dict(type="MultiCrop", views=[dict(count=2, size="${config.crop_size}", scale=(0.4, 1.0))]),
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
    num_prototypes=32,
    epsilon=0.03,
    queue_length=0,
    frozen_prototype_iters=10**9,
)
cosine = [dict(type="CosineAnnealingLR", eta_min=1.2e-3, by_epoch=True, convert_to_iter_based=True)]
lars = dict(
    type="OptimWrapper", optimizer=dict(type="LARS", lr=1.2, momentum=0.9, weight_decay=1e-6)
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
    # Step 1, equation 5.
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
        # Batches of 32 give half the updates in the same time; whether they suffice then depends on
        # rounding, such as by the number of threads.
        train_dataloader=dict(view_loader, batch_size=16),
        optim_wrapper=lars,
        param_scheduler=cosine,
        train_cfg=dict(type="EpochTrainLoop", max_epochs=24),
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
                        dict(
                            # Features are pooled over these maps, which this stage writes first.
                            type="LoadForegroundAsMask",
                            folder="${label_generation.foreground}/train",
                        ),
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
            embedder=dict(type="ForegroundEmbeddings", attention=False),
            generator=dict(type="FaissKMeans", iterations=20, restarts=30),
            # Colour distance to the photo's frame, times closeness to its centre.
            foreground=dict(
                type="ProductOfMaps", sources=[dict(type="BoundaryPrior"), dict(type="CentrePrior")]
            ),
            threshold=dict(type="AutoThreshold"),
            matcher="${config.matcher}",
            writer=dict(type="ImageLabels", over_foreground=True),
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
                    dict(type="RandomResizedCropWithMask", size=96, scale=(0.3, 1.0)),
                    dict(type="RandomFlipWithMask"),
                    dict(type="PackInputs"),
                ],
            ),
        ),
        optim_wrapper=lars,
        param_scheduler=cosine,
        train_cfg=dict(type="EpochTrainLoop", max_epochs=10),
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
        test_dataloader=dict(
            splits="${facts.evaluated_splits}", dataset=dict(pipeline=whole_photo)
        ),
    ),
    report=dict(type="Report", title="PASS_s on the demo data"),
)
