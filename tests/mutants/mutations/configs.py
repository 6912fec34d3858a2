"""Mistakes in settings: what the recipes of the paper and of the released code say."""

from mutations.mutation import of

_TESTS = (
    "tests/configs",
    "tests/pipeline/test_imagenet_s_configs.py",
    "tests/parity/test_lr_schedule.py",
)

base = of("configs/_base_/pass/pass_s.py", *_TESTS)
pass_p = of("configs/_base_/pass/pass_p.py", *_TESTS)
in50 = of("configs/pass/pass_s_in50.py", *_TESTS)
in300 = of("configs/pass/pass_s_in300.py", *_TESTS)
in919 = of("configs/pass/pass_s_in919.py", *_TESTS)
adamw = of(
    "configs/_base_/protocols/semi_supervised_adamw.py",
    *_TESTS,
    "tests/pipeline/protocols/test_semi_supervised.py",
)
lars = of("configs/_base_/protocols/semi_supervised_lars.py", *_TESTS)
stride16 = of("configs/semi_supervised/pass_s_in919_adamw_stride16.py", *_TESTS)
distance_matching = of("configs/_base_/protocols/distance_matching.py", *_TESTS)
runtime = of("configs/_base_/default_runtime.py", "tests/pipeline/test_epochs.py")

MUTATIONS = [
    base(
        "std_pretrain = (0.228, 0.224, 0.225)",
        "std_pretrain = (0.229, 0.224, 0.225)",
        "Steps 1 and 2.1 normalise as ImageNet does, not as the released code.",
    ),
    base(
        "mean = (0.485, 0.456, 0.406)",
        "mean = (0.406, 0.456, 0.485)",
        "The means of red and blue change places.",
    ),
    base("epsilon=0.05,", "epsilon=0.03,", "Codes are harder."),
    base("sinkhorn_iterations=3,", "sinkhorn_iterations=10,", "Sinkhorn-Knopp runs longer."),
    base("temperature=0.1,", "temperature=0.2,", "The softmax over prototypes is softer."),
    base("queue_length=3840,", "queue_length=3000,", "The queue is shorter."),
    base("queue_start_epoch=15,", "queue_start_epoch=0,", "The queue starts at once."),
    base(
        "frozen_prototype_iters=5005,",
        "frozen_prototype_iters=313,",
        "Prototypes move after an epoch.",
    ),
    base(
        "loss_clustering=0.5, loss_d2s=0.5, loss_p2p=1.0",
        "loss_clustering=1.0, loss_d2s=1.0, loss_p2p=1.0",
        "Clustering and D2S count twice.",
    ),
    base(
        "views=[dict(count=2, size=224, scale=(0.08, 1.0))]",
        "views=[dict(count=2, size=224, scale=(0.14, 1.0))]",
        "Crops are larger parts of the photos.",
    ),
    base(
        "saturation=0.8, hue=0.2, probability=0.8",
        "saturation=0.8, hue=0.1, probability=0.8",
        "Hue is changed by half as much.",
    ),
    base(
        'dict(type="GaussianBlur", radius=(0.1, 2.0), probability=0.5)',
        'dict(type="GaussianBlur", radius=(0.1, 2.0), probability=1.0)',
        "All views are blurred.",
    ),
    base(
        "lr=0.6, momentum=0.9, weight_decay=1e-6",
        "lr=0.6, momentum=0.9, weight_decay=1e-4",
        "Weight decay is a hundred times as strong.",
    ),
    base(
        'dict(type="CosineAnnealingLR", eta_min=6e-4, by_epoch=True, convert_to_iter_based=True)',
        'dict(type="CosineAnnealingLR", eta_min=6e-4, by_epoch=True)',
        "The rate falls once an epoch.",
    ),
    base(
        'dict(type="CosineAnnealingLR", eta_min=6e-4,',
        'dict(type="CosineAnnealingLR", eta_min=6e-6,',
        "The rate ends as the paper has it, not the released code.",
    ),
    base(
        '            "objectives.clustering.prototypes": "${pretrain.checkpoint}",\n',
        "",
        "Step 2.1 starts from random prototypes.",
    ),
    base(
        "clustering=dict(clustering, queue_start_epoch=0, frozen_prototype_iters=0),",
        "clustering=dict(clustering, queue_start_epoch=0),",
        "Prototypes are frozen in step 2.1.",
    ),
    base(
        'preprocessor=dict(type="ViewPreprocessor", mean=mean, std=std),',
        'preprocessor=dict(type="ViewPreprocessor", mean=mean, std=std_pretrain),',
        "Labels are made with the normalisation of training.",
    ),
    base(
        'dict(type="ResizeShortSide", size=256),\n'
        '                dict(type="CenterCrop", crop_size=224),',
        'dict(type="ResizeShortSide", size=224),\n'
        '                dict(type="CenterCrop", crop_size=224),',
        "Image embeddings see photos at another scale.",
    ),
    base(
        'dict(type="LoadMask", optional=True),\n    dict(type="ResizeShortSide", size=256),',
        'dict(type="LoadMask", optional=True),\n    dict(type="ResizeShortSide", size=224),',
        "Whole images are labelled at another scale.",
    ),
    base(
        'init=dict(backbone="${pretrain.checkpoint}"),',
        'init=dict(backbone="${pixel_attention.checkpoint}"),',
        "Fine-tuning starts from step 2.1's running statistics.",
    ),
    base("label_stride=2,", "label_stride=1,", "Every pixel is trained on."),
    base(
        "std=[255 * value for value in std],",
        "std=[255 * value for value in std_pretrain],",
        "Fine-tuning normalises as step 1 does.",
    ),
    base(
        'dict(type="RandomFlipWithMask"),',
        "",
        "Fine-tuning never mirrors.",
    ),
    base(
        'dict(type="RandomResizedCropWithMask", size=224, scale=(0.08, 1.0)),',
        'dict(type="RandomResizedCropWithMask", size=224, scale=(0.14, 1.0)),',
        "Fine-tuning sees larger parts of the photos.",
    ),
    base(
        'sync_bn="torch",\n        train_dataloader=dict(',
        "train_dataloader=dict(",
        "Fine-tuning on several GPUs normalises on each alone.",
    ),
    base(
        'matcher=dict(type="ImageLevelMatcher"),',
        'matcher=dict(type="PixelOverlapMatcher"),',
        "The protocol's matching is another.",
    ),
    pass_p(
        "contrast=0.4, saturation=0.2,",
        "contrast=0.4, saturation=0.4,",
        "PASS_p's saturation changes as much as its contrast.",
    ),
    in50("queue_length=2048,", "queue_length=3840,", "The queue is as long as for 300 classes."),
    in50(
        "dict(count=6, size=96, scale=(0.05, 0.14))",
        "dict(count=6, size=96, scale=(0.05, 0.4))",
        "Small crops are larger parts of the photos.",
    ),
    in50(
        "optim_wrapper=dict(optimizer=dict(lr=6.0))",
        "optim_wrapper=dict(optimizer=dict(lr=0.6))",
        "Attention trains at a tenth of the released code's rate.",
    ),
    in50(
        "clustering, queue_length=3840, queue_start_epoch=0, frozen_prototype_iters=0",
        "clustering, queue_start_epoch=0, frozen_prototype_iters=0",
        "Step 2.1 has step 1's queue.",
    ),
    in300("seed = 10010", "seed = 0", "The seed is not the released code's."),
    in300("finetune=dict(seed=31)", "finetune=dict(seed=10010)", "Step 3 has the seed of step 1."),
    in919(
        'split="train-full"',
        'split="train"',
        "Representations are learnt on 919 classes, not on all of ImageNet.",
    ),
    adamw("layer_decay = 0.4\n", "layer_decay = 0.5\n", "The first layers learn faster."),
    adamw("base_lr = 5e-4", "base_lr = 1e-3", "The rate is twice as high."),
    adamw(
        "lr=base_lr, weight_decay=5e-4",
        "lr=base_lr, weight_decay=0.05",
        "Weights decay as a ViT's.",
    ),
    adamw(
        'dict(type="LinearLR", start_factor=1e-6, end=5, convert_to_iter_based=True)',
        'dict(type="LinearLR", start_factor=1e-6, end=10, convert_to_iter_based=True)',
        "The rate warms up for ten epochs.",
    ),
    adamw(
        "eta_min_ratio=1e-6 / base_lr,",
        "eta_min_ratio=0.0,",
        "The rate ends at zero.",
    ),
    adamw("label_stride=8,", "label_stride=4,", "Four times as many pixels are trained on."),
    adamw(
        "scale=(0.14, 1.0)),",
        "scale=(0.08, 1.0)),",
        "Crops are smaller parts of the photos.",
    ),
    lars("max_epochs=30", "max_epochs=20", "Ten epochs are missing."),
    stride16("strides=(1, 2, 2, 1)", "strides=(1, 2, 2, 2)", "The stride is 32."),
    stride16("layer_decay=0.45", "layer_decay=0.4", "The rates are those of stride 32."),
    distance_matching("k=10,", "k=20,", "Twenty neighbours vote."),
    distance_matching(
        "std=(0.229, 0.224, 0.225)",
        "std=(0.228, 0.224, 0.225)",
        "Images are normalised as in step 1.",
    ),
    distance_matching(
        'dict(type="ResizeShortSide", size=256)',
        'dict(type="ResizeShortSide", size=224)',
        "Images are compared at another scale.",
    ),
    runtime(
        'sampler_seed=dict(type="DistSamplerSeedHook"),',
        "sampler_seed=None,",
        "The sampler is told no epoch.",
    ),
]
