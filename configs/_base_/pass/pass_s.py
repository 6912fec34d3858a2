# PASS_s (section 4): all steps, with the settings of ImageNet-S300 in the released code.
# Child configs and --cfg-options override any setting.
_base_ = ["../default_runtime.py"]

# Folder of the photos: an ImageNet-S split root, or any folder of photos. --cfg-options
# data_root=DIR sets it for all stages, because data sets are built after merging the options.
data_root = None
data = dict(type="auto")
# Number of categories to discover; None uses the number of class folders.
num_categories = None

mean = (0.485, 0.456, 0.406)
# The released code normalises with SwAV's 0.228 in steps 1 and 2.1, and with 0.229 elsewhere.
std_pretrain = (0.228, 0.224, 0.225)
std = (0.229, 0.224, 0.225)

# ---- architecture -------------------------------------------------------------------------------
# Widths of feature maps are inferred from the backbone.
backbone = dict(type="mmselfsup.ResNet", depth=50, out_indices=(4,))
backbone_with_stage3 = dict(type="mmselfsup.ResNet", depth=50, out_indices=(3, 4))
clustering = dict(
    type="Clustering",
    hidden_channels=2048,
    embedding_channels=128,
    num_prototypes=3000,
    epsilon=0.05,
    sinkhorn_iterations=3,
    temperature=0.1,
    queue_length=3840,
    queue_start_epoch=15,
    frozen_prototype_iters=5005,
)

# ---- data ---------------------------------------------------------------------------------------
color_augmentations = [
    dict(
        type="ColorJitter", brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2, probability=0.8
    ),
    dict(type="RandomGrayscale", probability=0.2),
    dict(type="GaussianBlur", radius=(0.1, 2.0), probability=0.5),
]
view_preprocessor = dict(
    type="ViewPreprocessor", mean=mean, std=std_pretrain, augmentations=color_augmentations
)
two_views = [
    dict(type="LoadRGBImage"),
    dict(type="MultiCrop", views=[dict(count=2, size=224, scale=(0.08, 1.0))]),
    dict(type="PackViews"),
]
find_labels = dict(
    type="FindMask",
    root="${label_generation.pseudo_labels}",
    num_classes="${facts.num_categories}",
)
whole_image = [
    dict(type="LoadRGBImage"),
    dict(type="LoadMask", optional=True),
    dict(type="ResizeShortSide", size=256),
    dict(type="PackInputs"),
]
view_loader = dict(
    batch_size=32,  # 8 GPUs: 256
    drop_last=True,
    sampler=dict(type="EpochSampler", shuffle=True),
    collate_fn=dict(type="default_collate"),
    dataset=dict(split="train", on_unreadable="skip", pipeline=two_views),
)

# ---- optimization -------------------------------------------------------------------------------
lars = dict(
    type="AmpOptimWrapper",
    optimizer=dict(type="LARS", lr=0.6, momentum=0.9, weight_decay=1e-6),
)
# Images per step over all processes for these learning rates; --auto-scale-lr scales them with the
# batch.
auto_scale_lr = dict(base_batch_size=256)
cosine = [dict(type="CosineAnnealingLR", eta_min=6e-4, by_epoch=True, convert_to_iter_based=True)]

stages = dict(
    # Step 1, equation 5. The released code averages the clustering and D2S losses, hence 1/2.
    pretrain=dict(
        type="TrainStage",
        model=dict(
            type="PASSPretrainer",
            backbone=backbone_with_stage3,
            stages=(3, 4),
            objectives=dict(
                clustering=clustering,
                d2s=dict(type="D2S", stages=(3,), hidden_channels=2048),
                p2p=dict(type="P2P", hidden_channels=2048),
            ),
            loss_weights=dict(loss_clustering=0.5, loss_d2s=0.5, loss_p2p=1.0),
            data_preprocessor=view_preprocessor,
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
        type="TrainStage",
        init={
            "backbone": "${pretrain.checkpoint}",
            "objectives.clustering.projector": "${pretrain.checkpoint}",
            "objectives.clustering.prototypes": "${pretrain.checkpoint}",
        },
        model=dict(
            type="PixelAttentionTrainer",
            backbone=backbone,
            attention=dict(type="PixelAttention"),
            clustering=dict(clustering, queue_start_epoch=0, frozen_prototype_iters=0),
            data_preprocessor=view_preprocessor,
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
        type="LabelGenerationStage",
        generator=dict(type="FaissKMeans", iterations=20, restarts=30),
        preprocessor=dict(type="ViewPreprocessor", mean=mean, std=std),
        embedding=dict(
            batch_size=32,
            pipeline=[
                dict(type="LoadRGBImage"),
                dict(type="ResizeShortSide", size=256),
                dict(type="CenterCrop", crop_size=224),
                dict(type="PackInputs"),
            ],
        ),
        pixels=dict(pipeline=whole_image),
    ),
    # Step 3: starts from the backbone of step 1; labels are unmatched generated ids.
    finetune=dict(
        type="FinetuneStage",
        init=dict(backbone="${pretrain.checkpoint}"),
        model=dict(
            type="PassSegmentor",
            label_stride=2,
            data_preprocessor=dict(
                type="mmseg.SegDataPreProcessor",
                mean=[255 * value for value in mean],
                std=[255 * value for value in std],
                size_divisor=1,
                seg_pad_val=1000,
            ),
            backbone=backbone,
            decode_head=dict(type="PassHead", in_index=-1),
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
                    find_labels,
                    dict(type="LoadRGBImage"),
                    dict(type="LoadMask"),
                    dict(type="RandomResizedCropWithMask", size=224, scale=(0.08, 1.0)),
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
        type="EvaluateStage",
        matcher=dict(type="ImageLevelMatcher"),
        pipeline=whole_image,
    ),
    report=dict(type="ReportStage", title="PASS_s"),
)
