# From photos to masks with a pretrained backbone that stays as it is; only a linear classifier is
# trained. For a folder of photos: luss train PHOTOS --categories C --backbone NAME --weights FILE.
# With luss run: --cfg-options data_root=DIR num_categories=C backbone.preset=NAME
# backbone.weights=FILE, which replace the settings of the backbone below; see docs/weights.md.
_base_ = ["../_base_/default_runtime.py"]

data_root = None
data = dict(type="auto")
num_categories = None  # to discover; None uses the number of class folders

# ---- the backbone: a ResNet-50 of torchvision ---------------------------------------------------
# A file, or a dict such as dict(file="FILE", layout="torchvision").
weights = None
backbone = dict(type="mmcls.ResNet", depth=50, out_indices=[2, 3])
in_index = [0, 1]  # the feature maps that the classifier reads
mean = (0.485, 0.456, 0.406)
std = (0.229, 0.224, 0.225)
# In pixels, a multiple of `multiple`: the patches of a vision transformer cover the image.
short_side = 224
multiple = 1

# Of the foreground; 0.5 suits GrabCut. For other maps, dict(type="AutoThreshold", _delete_=True).
threshold = dict(type="GivenThreshold", value=0.5)
# By which discovered categories get the names of true ones.
matcher = dict(type="ImageLevelMatcher")

# ---- shared by several stages -------------------------------------------------------------------
normalisation = dict(mean="${config.mean}", std="${config.std}")
load, pack = dict(type="LoadRGBImage"), dict(type="PackInputs")
load_mask = dict(type="LoadMask", optional=True)
resize = dict(type="ResizeShortSide", size="${config.short_side}", multiple_of="${config.multiple}")
whole_photo = [load, load_mask, resize, pack]
# Instead of photos, the stages before the evaluation read the stored features of photos.
features = dict(type="LoadFeatures", folder="${features.features}/train")
features_of_validation = dict(type="LoadFeatures", folder="${features.features}/validation")
labels = "${label_generation.pseudo_labels}"
photos = dict(split="train", on_unreadable="skip")
with_masks = dict(split="validation", require_masks=True)
colours = [dict(type="BoundaryPrior"), dict(type="CentrePrior")]
over_foreground = [
    features,
    dict(type="LoadForegroundAsMask", folder="${label_generation.foreground}/train"),
    pack,
]
# Colours unlike the photo's frame, near its centre; and features unlike the frame's.
prior = dict(
    type="MeanOfRanks",
    sources=[
        dict(type="ProductOfMaps", sources=colours),
        dict(type="FrameDistance", maps="${config.in_index}"),
    ],
    weights=(1, 2),
)

stages = dict(
    # Nothing is trained: the checkpoint is the backbone of the file.
    pretrain=dict(
        type="Train",
        pretrained="${facts.weights}",
        model=dict(
            type="BackboneFeatures",
            backbone="${config.backbone}",
            data_preprocessor=dict(type="ViewPreprocessor", **normalisation),
        ),
    ),
    # Computed once for each photo. precision="half" needs half of the disk space.
    features=dict(
        type="Test",
        model="${pretrain.model}",
        checkpoint="${pretrain.checkpoint}",
        test_dataloader=dict(
            train=dict(dataset=dict(photos, pipeline=[load, resize, pack])),
            validation=dict(
                only_with_masks=True, dataset=dict(with_masks, pipeline=[load, resize, pack])
            ),
        ),
        test_cfg=dict(type="FeatureLoop", precision="single"),
    ),
    # Features are pooled over the foreground and clustered; all pixels of the foreground get the
    # category of their photo.
    label_generation=dict(
        type="Test",
        model="${pretrain.model}",
        checkpoint="${pretrain.checkpoint}",
        test_dataloader=dict(
            embedding=dict(
                batch_size=16,
                dataset=dict(photos, pipeline=over_foreground),
            ),
            pixels=dict(dataset=dict(photos, pipeline=[features, load_mask, pack])),
            validation=dict(
                only_with_masks=True,
                dataset=dict(with_masks, pipeline=[features_of_validation, load_mask, pack]),
            ),
        ),
        test_cfg=dict(
            type="LabelGenerationLoop",
            num_categories="${facts.num_categories}",
            embedder=dict(type="ForegroundEmbeddings", attention=False),
            generator=dict(
                type="ReducedKMeans", dimensions=64, generator=dict(type="SpectralClusters")
            ),
            foreground=dict(type="GrabCut", source=prior, iterations=2),
            threshold="${config.threshold}",
            matcher="${config.matcher}",
            writer=dict(type="ImageLabels", over_foreground=True),
            num_attention_maps=10**6,  # all of validation, for evaluate_labels
        ),
    ),
    # The labels are unmatched generated ids.
    finetune=dict(
        type="Train",
        init=dict(backbone="${pretrain.checkpoint}"),
        model=dict(
            type="PassSegmentor",
            frozen_backbone=True,
            # Photos are also predicted at 320 instead of 224 px, for finer masks.
            scales=(1, 1.43),
            multiple_of="${config.multiple}",
            data_preprocessor=dict(type="PhotometricSegPreprocessor", **normalisation, unit=255),
            backbone="${config.backbone}",
            decode_head=dict(
                type="StandardisedHead",
                in_index="${config.in_index}",
                num_classes="${facts.num_outputs}",
            ),
        ),
        sync_bn="torch",
        train_dataloader=dict(
            batch_size=16,
            drop_last=True,
            sampler=dict(type="EpochSampler", shuffle=True),
            collate_fn=dict(type="pseudo_collate"),
            dataset=dict(
                photos,
                # Photos that could not be read have no label.
                without="${label_generation.unlabelled}",
                pipeline=[
                    dict(type="FindMask", root=labels, num_classes="${facts.num_categories}"),
                    features,
                    dict(type="LoadMask"),
                    dict(type="RandomFeatureWindow", size="${config.short_side}"),
                    pack,
                ],
            ),
        ),
        optim_wrapper=dict(
            type="OptimWrapper", optimizer=dict(type="AdamW", lr=1e-2, weight_decay=1e-2)
        ),
        param_scheduler=[
            dict(type="CosineAnnealingLR", eta_min=0, by_epoch=True, convert_to_iter_based=True)
        ],
        train_cfg=dict(type="EpochTrainLoop", max_epochs=6),
    ),
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
        # Edges follow the photo. refiner=None for comparisons.
        refiner=dict(type="PAMR"),
        test_dataloader=dict(
            splits="${facts.evaluated_splits}", dataset=dict(pipeline=whole_photo)
        ),
    ),
    # For comparison, where there are masks: the labels that the classifier has learnt from.
    evaluate_labels=dict(
        type="Test",
        protocol=dict(
            type="BeforeFineTuning",
            matcher="${config.matcher}",
            threshold="${label_generation.threshold}",
            clustering="${label_generation.clustering}",
        ),
        model=dict(
            type="PixelLabeller",
            model="${pretrain.model}",
            centroids="${label_generation.clustering}",
            threshold="${label_generation.threshold}",
            foreground=dict(type="FolderOfMaps", folder="${label_generation.foreground}"),
            rule="${config.threshold}",
            writer=dict(type="ImageLabels", over_foreground=True),
        ),
        checkpoint="${pretrain.checkpoint}",
        test_dataloader=dict(
            validation=dict(
                only_with_masks=True,
                dataset=dict(split="validation", require_masks=True, pipeline=whole_photo),
            )
        ),
    ),
    report=dict(type="Report", title="Frozen backbone on photos"),
)
