# PASS_s (section 4) on ImageNet-S300: --cfg-options data_root=.../ImageNetS300. Eight GPUs make a
# batch of 256. These are the settings of this split in the released code (C). The paper (P)
# differs: it decays the learning rate to 6e-6 in all steps (C: 6e-4), sums the losses with weight 1
# (C: halves clustering and D2S), sums D2S and P2P over both directions (C: means), and samples
# before the pixel projector M_p of two layers (C: after one of three). See docs/deviations.md.
#
# Child configs and --cfg-options override any setting. ${stage.output} is what another stage wrote,
# ${facts.name} a fact of the data, ${config.name} a setting of this level; see docs/training.md.
_base_ = ["../_base_/default_runtime.py"]

# Folder of the photos: an ImageNet-S split root, or any folder of photos.
data_root = None
data = dict(type="auto")  # detects the layout of the folder
# Number of categories to discover; None uses the number of class folders.
num_categories = None
seed = 10010  # C: in steps 1 and 2; 31 in step 3

# ---- what users change --------------------------------------------------------------------------
# Widths of feature maps are inferred from the backbone.
# out_indices are stages, numbered as in the paper; their features have losses.
backbone = dict(type="mmselfsup.ResNet", depth=50, out_indices=(3, 4))
hidden_channels = 2048  # of all projectors
short_side = 256  # of whole photos, for labels and evaluation
crop_size = 224
# Of red, green and blue in [0, 1].
mean = (0.485, 0.456, 0.406)
std = (0.229, 0.224, 0.225)
# C: SwAV's 0.228 in steps 1 and 2.1.
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
            brightness=0.8,
            contrast=0.8,
            saturation=0.8,
            hue=0.2,
            probability=0.8,
        ),
        dict(type="RandomGrayscale", probability=0.2),
        dict(type="GaussianBlur", radius=(0.1, 2.0), probability=0.5),
    ],
)
two_views = [
    dict(type="LoadRGBImage"),
    dict(type="MultiCrop", views=[dict(count=2, size="${config.crop_size}", scale=(0.08, 1.0))]),
    dict(type="PackViews"),
]
resize = dict(type="ResizeShortSide", size="${config.short_side}", multiple_of="${config.multiple}")
whole_photo = [
    dict(type="LoadRGBImage"),
    dict(type="LoadMask", optional=True),
    resize,
    dict(type="PackInputs"),
]
clustering = dict(
    type="Clustering",
    hidden_channels="${config.hidden_channels}",
    embedding_channels=128,
    num_prototypes=3000,
    epsilon=0.05,
    sinkhorn_iterations=3,
    temperature=0.1,
    queue_length=3840,
    queue_start_epoch=15,
    frozen_prototype_iters=5005,
)
cosine = [dict(type="CosineAnnealingLR", eta_min=6e-4, by_epoch=True, convert_to_iter_based=True)]
lars = dict(
    type="AmpOptimWrapper", optimizer=dict(type="LARS", lr=0.6, momentum=0.9, weight_decay=1e-6)
)
# Images per step over all processes for these learning rates; --auto-scale-lr scales them with the
# batch.
auto_scale_lr = dict(base_batch_size=256)
view_loader = dict(
    batch_size=32,  # 8 GPUs: 256
    drop_last=True,
    sampler=dict(type="EpochSampler", shuffle=True),
    collate_fn=dict(type="default_collate"),
    dataset=dict(split="train", on_unreadable="skip", pipeline=two_views),
)

stages = dict(
    # Step 1, equation 5. C averages the clustering and D2S losses, hence 1/2.
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
        train_dataloader=view_loader,
        optim_wrapper=lars,
        param_scheduler=cosine,
        train_cfg=dict(type="EpochTrainLoop", max_epochs=100),
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
            clustering=dict(clustering, queue_start_epoch=0, frozen_prototype_iters=0),
            data_preprocessor=views,
        ),
        sync_bn="torch",
        train_dataloader=view_loader,
        optim_wrapper=lars,
        param_scheduler=cosine,
        train_cfg=dict(type="EpochTrainLoop", max_epochs=20),
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
                        dict(type="CenterCrop", crop_size="${config.crop_size}"),
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
            # C: faiss on one GPU. Here: the same k-means, distributed over all GPUs.
            generator=dict(type="TorchKMeans", iterations=20, restarts=30),
            foreground=dict(type="Attention"),
            threshold=dict(type="AutoThreshold"),
            matcher="${config.matcher}",
            writer=dict(type="PixelLabels"),
        ),
    ),
    # Step 3: starts from the backbone of step 1; labels are unmatched generated ids.
    finetune=dict(
        type="Train",
        seed=31,
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
                    dict(
                        type="RandomResizedCropWithMask",
                        size="${config.crop_size}",
                        scale=(0.08, 1.0),
                    ),
                    dict(type="RandomFlipWithMask"),
                    dict(type="PackInputs"),
                ],
            ),
        ),
        optim_wrapper=lars,
        param_scheduler=cosine,
        train_cfg=dict(type="EpochTrainLoop", max_epochs=20),
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
    report=dict(type="Report", title="PASS_s"),
)
