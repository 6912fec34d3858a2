"""What the paper and its authors' released code say of every setting, by hand.

P is the paper, C the released code, for AdamW the authors' later one; where they differ the
configs follow C (docs/deviations.md). Each row is (where it is said, setting, value); 'ours' is
what neither says. Where it is said is a heading of the notes that expected.py names: 'step 1' to
'step 3', 'inference', 'matching', 'protocols' and so on, 'PixPro' for L_e of PASS_p. A value ``Of``
differs from split to split.
"""

from described import CLASSES
from expected import (
    BYOL_VIEWS,
    CENTER_CROP,
    LOAD,
    PACK,
    SWAV_COLOURS,
    WHOLE_IMAGE,
    attention,
    cosine,
    crop_with_mask,
    layer_rates,
    linear_projector,
    multi_crop,
    pixel_projector,
    resnet,
    short_side,
    warm_cosine,
)


class Of(dict):
    """Number of classes -> value."""


def table(rows, split: int) -> dict:
    """The settings of one split."""
    settings = {}
    for _, name, value in rows:
        assert name not in settings, name
        settings[name] = value[split] if isinstance(value, Of) else value
    return settings


def changed(rows, *others) -> list:
    """Rows with others in the place of those of the same setting, or at the end."""
    named = {name: (source, name, value) for source, name, value in rows}
    named.update({name: (source, name, value) for source, name, value in others})
    return list(named.values())


# Stages

MEAN = [0.485, 0.456, 0.406]
IMAGENET = [0.229, 0.224, 0.225]
WIDTH = Of({50: 512, 300: 2048, 919: 2048})
HOOKS = [
    ("CheckpointHook", {"interval": 1, "by_epoch": True, "max_keep_ckpts": 2}),
]
CLUSTERING_HOOKS = [("ClusteringHook", {}), "CollapseHook", *HOOKS]
LARC = (
    "LARS",
    {
        "momentum": 0.9,
        "trust_coefficient": 0.001,
        "eps": 1e-8,
        "clip": False,
        "decay_first": False,
    },
)


def clustering(width, hidden, prototypes, queue, start, frozen) -> dict:
    return {
        "projector M_I": linear_projector(width, hidden),
        "prototypes": [f"Linear 128->{prototypes}"],
        "epsilon": 0.05,
        "sinkhorn_iterations": 3,
        "temperature": 0.1,
        "queue_length": queue,
        "queue_start_epoch": start,
        "frozen_prototype_iters": frozen,
        "num_assigning_crops": 2,
    }


TRAINING = [
    ("step 1, under the table: 8 x 32", "batch of 8 processes", 256),
    ("step 1, under the table", "synchronised BN", "torch"),
    ("step 1, under the table", "mixed precision", True),
    (
        "ours: a new order each epoch",
        "sampler",
        ("EpochSampler", {"shuffle": True, "round_up": True}),
    ),
    ("ours", "loop", "EpochTrainLoop"),
    ("normalisation", "mean", MEAN),
    (
        "backbone: BN momentum 0.1, eps 1e-5; train mode in step 2.1, too",
        "BN",
        {(0.1, 1e-5, True, True)},
    ),
]
BY_LARC = [
    ("step 1, under the table; LARC, exactly", "optimizer", LARC),
    ("step 1; LARC: all tensors", "weight decay by dimensions", {(1, 1e-6), (2, 1e-6)}),
    ("LARC: all tensors", "adapted by dimensions", {(1, True), (2, True)}),
    ("step 1: incomplete batches dropped", "incomplete batches are dropped", True),
    ("ours: the next readable image", "unreadable images", "skip"),
]
VIEWS = [
    ("normalisation: SwAV's own slip", "std", [0.228, 0.224, 0.225]),
    ("step 1, views; step 2.1: as in step 1", "augmentation", SWAV_COLOURS),
    ("ours", "collate", "default_collate"),
    ("unlabelled images", "true masks", set()),
    ("the last epoch's checkpoint, never a best one; the rest ours", "hooks", CLUSTERING_HOOKS),
]
NETWORK = [
    (
        "step 1, the table; backbone: v1, stride in the 3x3 convolution",
        "convolutions",
        Of({50: resnet(18), 300: resnet(50), 919: resnet(50)}),
    ),
]
DEEPEST = [
    (
        "the last feature map, stride 32",
        "feature maps of 64 px",
        Of({50: [(512, 2, 2)], 300: [(2048, 2, 2)], 919: [(2048, 2, 2)]}),
    ),
]
TWO_CROPS = multi_crop((2, 224, [0.08, 1.0]))
PRETRAIN = [
    *TRAINING,
    *BY_LARC,
    *VIEWS,
    *NETWORK,
    ("", "kind", "Train"),
    ("step 1, under the table", "seed", 10010),
    ("step 1, under the table", "seed of the data", 10010),
    ("step 1, the table", "images", Of({50: {"train"}, 300: {"train"}, 919: {"train-full"}})),
    (
        "step 1, views",
        "pipeline",
        Of(
            {
                50: multi_crop((2, 224, [0.14, 1.0]), (6, 96, [0.05, 0.14])),
                300: TWO_CROPS,
                919: TWO_CROPS,
            }
        ),
    ),
    ("step 1, the table", "epochs", Of({50: 200, 300: 100, 919: 100})),
    (
        "step 1, under the table (C)",
        "rates",
        Of(
            {
                50: cosine(0.6, 6e-4, 200),
                300: cosine(0.6, 6e-4, 100),
                919: cosine(0.6, 6e-4, 100),
            }
        ),
    ),
    ("from scratch", "starts from", {}),
    (
        "step 1",
        "trained parts",
        {
            "backbone",
            "objectives.clustering.projector",
            "objectives.clustering.prototypes",
            "objectives.d2s.embeddings",
            "objectives.p2p.projector",
            "objectives.p2p.predictor",
        },
    ),
    ("D2S: layer s", "stages of the feature maps", (3, 4)),
    (
        "the stages 3 and 4, strides 16 and 32",
        "feature maps of 64 px",
        Of(
            {
                50: [(256, 4, 4), (512, 2, 2)],
                300: [(1024, 4, 4), (2048, 2, 2)],
                919: [(1024, 4, 4), (2048, 2, 2)],
            }
        ),
    ),
    (
        "D2S: total in C, w = 1",
        "weights of losses",
        {"loss_clustering": 0.5, "loss_d2s": 0.5, "loss_p2p": 1.0},
    ),
    (
        "step 1, L_e and the table",
        "clustering",
        Of(
            {
                50: clustering(512, 512, 500, queue=2048, start=15, frozen=1001),
                300: clustering(2048, 2048, 3000, queue=3840, start=15, frozen=5005),
                919: clustering(2048, 2048, 3000, queue=3840, start=15, frozen=5005),
            }
        ),
    ),
    ("D2S: PASS_s uses {3}", "D2S stages", (3,)),
    ("D2S", "D2S temperature", 0.1),
    (
        "D2S: three convolutions c_s, hidden, hidden, c_s",
        "D2S M_K",
        Of(
            {
                50: [pixel_projector(256, 512, 512, 256)],
                300: [pixel_projector(1024, 2048, 2048, 1024)],
                919: [pixel_projector(1024, 2048, 2048, 1024)],
            }
        ),
    ),
    (
        "D2S: M_I of its own",
        "D2S M_I",
        Of(
            {
                50: [linear_projector(256, 512)],
                300: [linear_projector(1024, 2048)],
                919: [linear_projector(1024, 2048)],
            }
        ),
    ),
    ("P2P: 7 x 7", "P2P grid", 7),
    ("P2P (C)", "P2P samples", "after M_p"),
    (
        "P2P (C): L, hidden, hidden, 128",
        "P2P M_p",
        Of(
            {
                50: pixel_projector(512, 512, 512, 128),
                300: pixel_projector(2048, 2048, 2048, 128),
                919: pixel_projector(2048, 2048, 2048, 128),
            }
        ),
    ),
    (
        "P2P: predictor P",
        "P2P predictor",
        ["Conv1x1 128->128", "BN 128 affine", "ReLU", "Conv1x1 128->128 bias"],
    ),
]

# Step 1 of PASS_p. Where the source is PixPro it is said in its paragraph.
PIXPRO_LARS = ("LARS", {**LARC[1], "decay_first": True})
PRETRAIN_P = changed(
    PRETRAIN,
    ("PixPro", "std", IMAGENET),
    ("PixPro: BYOL augmentations for the two views", "augmentation", BYOL_VIEWS),
    ("PixPro: crops of 224 from scale 0.08; clustering on the same two", "pipeline", TWO_CROPS),
    (
        "PixPro: 1.0 per 256 images, 5 epochs of warm-up from lr / 100, cosine to 1e-6",
        "rates",
        Of(
            {
                50: warm_cosine(1.0, 1e-6, 5, 200, start=0.01),
                300: warm_cosine(1.0, 1e-6, 5, 100, start=0.01),
                919: warm_cosine(1.0, 1e-6, 5, 100, start=0.01),
            }
        ),
    ),
    ("PixPro: weight decay added before the norms", "optimizer", PIXPRO_LARS),
    ("PixPro: 1e-5, none on biases and BN", "weight decay by dimensions", {(1, 0.0), (2, 1e-5)}),
    ("PixPro: biases and BN excluded", "adapted by dimensions", {(1, False), (2, True)}),
    (
        "PixPro: the momentum encoder is not trained",
        "trained parts",
        {
            "backbone",
            "objectives.clustering.projector",
            "objectives.clustering.prototypes",
            "objectives.d2s.embeddings",
            "objectives.p2p.projector",
            "objectives.p2p.predictor",
            "objectives.pixpro.projector",
            "objectives.pixpro.propagation",
        },
    ),
    ("PixPro: D2S uses stages {3, 2}", "stages of the feature maps", (2, 3, 4)),
    (
        "the stages 2 to 4, strides 8 to 32",
        "feature maps of 64 px",
        Of(
            {
                50: [(128, 8, 8), (256, 4, 4), (512, 2, 2)],
                300: [(512, 8, 8), (1024, 4, 4), (2048, 2, 2)],
                919: [(512, 8, 8), (1024, 4, 4), (2048, 2, 2)],
            }
        ),
    ),
    (
        "PixPro: weight 1 each is an assumption",
        "weights of losses",
        {
            "loss_clustering": 1.0,
            "loss_d2s": 1.0,
            "loss_p2p": 1.0,
            "loss_pixpro": 1.0,
        },
    ),
    ("PixPro: D2S uses stages {3, 2}", "D2S stages", (3, 2)),
    (
        "D2S: three convolutions c_s, hidden, hidden, c_s",
        "D2S M_K",
        Of(
            {
                50: [pixel_projector(c, 512, 512, c) for c in (256, 128)],
                300: [pixel_projector(c, 2048, 2048, c) for c in (1024, 512)],
                919: [pixel_projector(c, 2048, 2048, c) for c in (1024, 512)],
            }
        ),
    ),
    (
        "D2S: M_I of its own",
        "D2S M_I",
        Of(
            {
                50: [linear_projector(c, 512) for c in (256, 128)],
                300: [linear_projector(c, 2048) for c in (1024, 512)],
                919: [linear_projector(c, 2048) for c in (1024, 512)],
            }
        ),
    ),
    (
        "PixPro: projector, with biases",
        "PixPro projector",
        Of(
            {
                split: [
                    f"Conv1x1 {width}->4096 bias",
                    "BN 4096 affine",
                    "ReLU",
                    "Conv1x1 4096->256 bias",
                ]
                for split, width in WIDTH.items()
            }
        ),
    ),
    ("PixPro: PPM", "PixPro values", ["Conv1x1 256->256 bias"]),
    ("PixPro: to the power 2", "PixPro sharpness", 2.0),
    ("PixPro: below 0.7", "PixPro distance", 0.7),
    ("PixPro: momentum 0.99 rising to 1", "PixPro momentum", (0.99, 1.0)),
)

PIXEL_ATTENTION = [
    *TRAINING,
    *BY_LARC,
    *VIEWS,
    *NETWORK,
    *DEEPEST,
    ("", "kind", "Train"),
    ("step 1, under the table", "seed", 10010),
    ("step 1, under the table", "seed of the data", 10010),
    ("step 2.1: the split's own train", "images", {"train"}),
    ("step 2.1: for every split", "pipeline", TWO_CROPS),
    ("step 2.1", "epochs", 20),
    (
        "step 2.1 (50: C only)",
        "rates",
        Of(
            {
                50: cosine(6.0, 6e-4, 20),
                300: cosine(0.6, 6e-4, 20),
                919: cosine(0.6, 6e-4, 20),
            }
        ),
    ),
    (
        "step 2.1: prototypes and M_I start from step 1",
        "starts from",
        {
            "pretrain": (
                "backbone",
                "objectives.clustering.projector",
                "objectives.clustering.prototypes",
            )
        },
    ),
    (
        "step 2.1: everything frozen but the attention and the prototypes",
        "trained parts",
        {"attention", "objectives.clustering.prototypes"},
    ),
    (
        "step 2.1",
        "attention M_A",
        Of({50: attention(512), 300: attention(2048), 919: attention(2048)}),
    ),
    (
        "step 2.1: one per channel",
        "attention theta",
        Of({50: (1, 512, 1, 1), 300: (1, 2048, 1, 1), 919: (1, 2048, 1, 1)}),
    ),
    (
        "step 2.1: queue 3840 from epoch 0, prototypes not frozen",
        "clustering",
        Of(
            {
                50: clustering(512, 512, 500, queue=3840, start=0, frozen=0),
                300: clustering(2048, 2048, 3000, queue=3840, start=0, frozen=0),
                919: clustering(2048, 2048, 3000, queue=3840, start=0, frozen=0),
            }
        ),
    ),
]

LABEL_GENERATION = [
    ("", "kind", "Test"),
    ("step 2.1: steps 2.2 to 2.4 load that checkpoint", "model from", "pixel_attention"),
    (
        "step 2.2: C centroids, 20 iterations, 30 restarts; the seed is ours",
        "k-means",
        (
            "TorchKMeans",
            {"num_clusters": CLASSES, "iterations": 20, "restarts": 30, "seed": 10010},
        ),
    ),
    ("step 2.2: the mean of attention times features", "embedder", "ImageEmbeddings"),
    ("equation 7: the mean attention", "foreground", {"type": "Attention"}),
    ("equation 7: the nearest centroid at each pixel", "label writer", "PixelLabels"),
    (
        "step 2.3: searched on validation",
        "threshold",
        {"type": "ValidationThreshold"},
    ),
    ("ours", "unreadable images", "skip"),
    ("ours", "attention maps for the report", 24),
    ("ours", "images at a time", 32),
    (
        "step 2.2: short side 256, centre crop 224, no augmentation",
        "pipeline of embeddings",
        [LOAD, short_side(256), CENTER_CROP, PACK],
    ),
    ("step 2.3: short side 256, whole image", "pipeline of pixels", WHOLE_IMAGE),
    ("step 2.2: no augmentation", "augmentation", []),
    ("normalisation", "mean", MEAN),
    ("normalisation", "std", IMAGENET),
]

SEGMENTOR = [
    (
        "step 3: Conv1x1(L, C + 1) with bias",
        "head",
        Of({split: [f"Conv1x1 {width}->{CLASSES + 1} bias"] for split, width in WIDTH.items()}),
    ),
    ("step 3: C + 1", "classes", (CLASSES + 1, CLASSES + 1)),
    ("masks: 1000 = ignore", "ignored label", 1000),
    (
        "step 3: plain cross entropy; semi-supervised: without ignored pixels",
        "loss",
        ("CrossEntropyLoss", 1.0, None, "mean", True),
    ),
    ("up-sampling: align_corners False", "corners are aligned", False),
    ("step 3", "other heads", (None, False)),
    ("ours: nothing is padded", "padding", {"size": None, "size_divisor": 1, "seg_pad_val": 1000}),
    ("normalisation", "std", IMAGENET),
    ("ours", "collate", "pseudo_collate"),
    ("the last epoch's checkpoint, never a best one; the rest ours", "hooks", HOOKS),
    ("step 3: backbone from step 1's checkpoint", "starts from", {"pretrain": ("backbone",)}),
    ("step 3", "trained parts", {"backbone", "decode_head"}),
]
STAGES_BEFORE_THE_REPORT = (
    "pretrain",
    "pixel_attention",
    "label_generation",
    "finetune",
    "evaluate",
)
FIND_MASK = ("FindMask", {"root": "label_generation/pseudo_labels", "num_classes": CLASSES})
BY_STEP_3 = [
    *TRAINING,
    *BY_LARC,
    *SEGMENTOR,
    *NETWORK,
    *DEEPEST,
    ("step 1: seed 10010 (step 3: 31)", "seed", 31),
    ("step 1: seed 10010 (step 3: 31)", "seed of the data", 31),
    ("step 3: of the last feature map", "logits of 64 px", (CLASSES + 1, 2, 2)),
    ("step 3: every second pixel", "label stride", 2),
    ("step 3: no colour", "augmentation", []),
]
FINETUNE = [
    *BY_STEP_3,
    ("", "kind", "Train"),
    ("step 3: the split's own train images, 919 as well", "images", {"train"}),
    ("step 3: generated ids", "true masks", set()),
    ("step 3: crop 224, flip", "pipeline", [FIND_MASK, *crop_with_mask(224, [0.08, 1.0])]),
    ("step 3", "epochs", 20),
    ("step 3", "rates", cosine(0.6, 6e-4, 20)),
]
LARS_SEMI = [
    *BY_STEP_3,
    ("", "kind", "Train"),
    ("protocols: train-semi", "images", {"train-semi"}),
    ("protocols: with its true masks", "true masks", {"train-semi-segmentation"}),
    ("protocols: otherwise step 3", "pipeline", crop_with_mask(224, [0.08, 1.0])),
    ("protocols: 30 epochs (P)", "epochs", 30),
    ("protocols: otherwise step 3", "rates", cosine(0.6, 6e-4, 30)),
]


ADAMW = [
    *TRAINING,
    *SEGMENTOR,
    ("", "kind", "Train"),
    ("ours: the run's", "seed", 10010),
    ("ours: the run's", "seed of the data", 10010),
    ("protocols: train-semi", "images", {"train-semi"}),
    ("protocols: with its true masks", "true masks", {"train-semi-segmentation"}),
    ("protocols: scale 0.14 to 1", "pipeline", crop_with_mask(224, [0.14, 1.0])),
    ("protocols: SwAV colour augmentation and blur", "augmentation", SWAV_COLOURS),
    ("protocols: 100 epochs", "epochs", 100),
    (
        "protocols: 5 warm-up epochs, cosine to 1e-6, base 5e-4 per 256 images",
        "rates",
        warm_cosine(5e-4, 1e-6, 5, 100),
    ),
    (
        "protocols: AdamW, else PyTorch's defaults",
        "optimizer",
        ("AdamW", {"betas": (0.9, 0.999), "eps": 1e-8, "amsgrad": False}),
    ),
    (
        "protocols: 5e-4 for ResNet, none on 1-D parameters",
        "weight decay by dimensions",
        {(1, 0.0), (2, 5e-4)},
    ),
    ("C: the last batch counts", "incomplete batches are dropped", False),
    ("ours: labelled images must be whole", "unreadable images", "fail"),
]
ADAMW_32 = [
    *ADAMW,
    *NETWORK,
    *DEEPEST,
    ("stride 32", "logits of 64 px", (CLASSES + 1, 2, 2)),
    ("C: labels at a quarter of the stride", "label stride", 8),
    (
        "protocols: ResNet-50 0.4",
        "rate of layers",
        Of(
            {
                50: layer_rates(0.4, (2, 2, 2, 2)),
                300: layer_rates(0.4, (3, 4, 6, 3)),
                919: layer_rates(0.4, (3, 4, 6, 3)),
            }
        ),
    ),
]
ADAMW_16 = [
    *ADAMW,
    (
        "C: stride 16 with dilation 2 in the last stage, its first block excepted",
        "convolutions",
        resnet(50, last_stride=1, last_dilation=2),
    ),
    ("stride 16", "feature maps of 64 px", [(2048, 4, 4)]),
    ("stride 16", "logits of 64 px", (CLASSES + 1, 4, 4)),
    ("C: labels at a quarter of the stride", "label stride", 4),
    ("protocols: at stride 16 0.45", "rate of layers", layer_rates(0.45, (3, 4, 6, 3))),
]

PREDICTION = [
    ("inference: short side 256, whole image", "pipeline", WHOLE_IMAGE),
    ("metrics", "boundary metrics", True),
    ("ours", "results in", "results"),
]
EVALUATE = [
    *PREDICTION,
    ("", "kind", "Test"),
    ("", "protocol", "FullyUnsupervised"),
    ("step 4", "model from", "finetune"),
    ("ours", "labels from", "label_generation"),
    ("matching; the second is ours", "matchers", ["ImageLevelMatcher", "PixelOverlapMatcher"]),
    ("matching: found on validation", "given match", None),
    ("inference: images differ in size", "images at a time", 1),
]
SEMI_SUPERVISED = [
    *PREDICTION,
    ("", "kind", "Test"),
    ("", "protocol", "SemiSupervised"),
    ("protocols", "model from", "finetune_semi"),
    ("inference: images differ in size", "images at a time", 1),
]
DISTANCE_MATCHING = [
    *PREDICTION,
    ("", "kind", "Test"),
    ("", "protocol", "DistanceMatching"),
    ("table 14: a backbone that stands alone", "model from", None),
    ("protocols: top 10", "k", 10),
    ("protocols: exp(similarity / 0.07)", "temperature", 0.07),
    ("ours", "images at a time", 8),
    ("protocols", "augmentation", []),
    ("normalisation", "mean", MEAN),
    ("normalisation", "std", IMAGENET),
]
REPORT = [
    ("", "kind", "Report"),
    ("ours", "title", "PASS_s"),
    ("ours: all stages before it", "shows", STAGES_BEFORE_THE_REPORT),
]
