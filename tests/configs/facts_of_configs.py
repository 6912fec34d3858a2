"""The facts of each config: which tables of ``facts.py`` it has, and which configs have none."""

from facts import (
    ADAMW_16,
    ADAMW_32,
    DISTANCE_MATCHING,
    EVALUATE,
    FINETUNE,
    IMAGENET,
    LABEL_GENERATION,
    LARS_SEMI,
    PIXEL_ATTENTION,
    PRETRAIN,
    PRETRAIN_P,
    REPORT,
    SEMI_SUPERVISED,
    changed,
)

PASS_S = {
    "pretrain": PRETRAIN,
    "pixel_attention": PIXEL_ATTENTION,
    "label_generation": LABEL_GENERATION,
    "finetune": FINETUNE,
    "evaluate": EVALUATE,
    "report": REPORT,
}

PASS_P = {
    **PASS_S,
    "pretrain": PRETRAIN_P,
    "pixel_attention": changed(PIXEL_ATTENTION, ("PixPro; ours for this step", "std", IMAGENET)),
    "report": changed(REPORT, ("ours", "title", "PASS_p")),
}


def with_prior(method: dict, name: str, title: str, foreground: dict) -> dict:
    """The two stages of a method that a shape prior changes."""
    row = (f"saliency prior, {name}: in place of the attention's foreground", "foreground")
    return {
        "label_generation": changed(method["label_generation"], (*row, foreground)),
        "report": changed(method["report"], ("ours", "title", f"{title} + {name}")),
    }


RC = {"type": "RegionContrast"}
SAL = {"type": "FolderOfMaps", "folder": None}
PRIORS = {
    f"pass/pass_{letter}_in50_{name.lower()}.py": (
        f"pass/pass_{letter}_in50.py",
        with_prior(method, name, f"PASS_{letter}", source),
    )
    for letter, method in (("s", PASS_S), ("p", PASS_P))
    for name, source in (("RC", RC), ("Sal", SAL))
} | {
    f"pass/pass_{letter}_photos_rc.py": (
        f"pass/pass_{letter}_photos.py",
        with_prior(method, "RC", f"PASS_{letter}", RC),
    )
    for letter, method in (("s", PASS_S), ("p", PASS_P))
}
FRAME_AND_CENTRE = {
    "type": "ProductOfMaps",
    "sources": [{"type": "BoundaryPrior"}, {"type": "CentrePrior"}],
}
JOINED = {
    "type": "GrabCut",
    "source": {"type": "MeanOfRanks", "sources": [FRAME_AND_CENTRE, RC]},
}
PRIORS["pass/pass_s_photos_prior.py"] = (
    "pass/pass_s_photos.py",
    with_prior(PASS_S, "prior", "PASS_s", JOINED),
)
"""Config with a shape prior -> (config without, tables of the stages that differ)."""


def semi_supervised(recipe: list) -> dict:
    return {"pretrain": PRETRAIN, "finetune_semi": recipe, "semi_supervised": SEMI_SUPERVISED}


PUBLISHED = {
    **{f"pass/pass_s_in{split}.py": (split, PASS_S) for split in (50, 300, 919)},
    **{f"pass/pass_p_in{split}.py": (split, PASS_P) for split in (50, 300, 919)},
    **{
        f"semi_supervised/pass_s_in{split}_{name}.py": (split, semi_supervised(recipe))
        for split in (50, 300, 919)
        for name, recipe in (("lars", LARS_SEMI), ("adamw", ADAMW_32))
    },
    "semi_supervised/pass_s_in919_adamw_stride16.py": (919, semi_supervised(ADAMW_16)),
    **{
        f"distance_matching/{name}.py": (919, {"distance_matching": DISTANCE_MATCHING})
        for name in (
            "resnet50",
            "resnet101",
            "densenet161",
            "inception_v3",
            "resnext50",
            "resnext101",
            "efficientnet_b3",
            "res2net50",
            "res2net101",
            "swin_s",
            "swin_b",
            "convnext_t",
        )
    },
}
"""Config -> (classes of its split, tables of its stages in order)."""

# Small networks on small photos: no published figure, and only these settings in common.
_LARS = (
    "mean", "optimizer", "weight decay by dimensions", "adapted by dimensions",
    "incomplete batches are dropped", "BN",
)  # fmt: skip
_ENDS = ("starts from", "trained parts", "true masks", "sampler")
SHARED = {
    "pretrain": (
        *_LARS, *_ENDS, "std", "stages of the feature maps", "weights of losses", "D2S stages",
        "D2S temperature", "P2P grid", "P2P samples", "P2P predictor", "hooks", "images",
        "PixPro sharpness", "PixPro distance", "PixPro momentum",
    ),
    "pixel_attention": (*_LARS, *_ENDS, "std", "hooks", "images"),
    "label_generation": ("model from", "foreground", "threshold", "mean", "std", "augmentation"),
    "finetune": (*_LARS, *_ENDS, "std", "classes", "ignored label", "loss", "images", "padding"),
    "evaluate": ("model from", "matchers", "given match"),
    "report": ("kind",),
    "finetune_semi": (*_ENDS, "mean", "std", "classes", "ignored label", "loss", "images"),
    "semi_supervised": ("model from",),
}  # fmt: skip
UNPUBLISHED = {
    "pass/pass_s_photos.py": PASS_S,
    "pass/pass_s_demo.py": PASS_S | with_prior(PASS_S, "prior", "PASS_s", FRAME_AND_CENTRE),
    "pass/pass_p_photos.py": PASS_P,
    "pass/pass_p_demo.py": PASS_P | with_prior(PASS_P, "prior", "PASS_p", FRAME_AND_CENTRE),
    "semi_supervised/pass_s_photos_lars.py": semi_supervised(LARS_SEMI),
    "semi_supervised/pass_s_photos_adamw.py": semi_supervised(ADAMW_32),
}

# Other networks with recipes of their own; they are run in tests/pipeline.
OTHER_BACKBONES = (
    "pass/nearest_centroid_photos.py",
    "pass/pass_s_swin_photos.py",
    "pass/densecl_swin_photos.py",
    "pass/dinov2_photos.py",
    "pass/pretrained_photos.py",
    "pretrained/distance_matching.py",
    "pretrained/in300.py",
    "pretrained/in50.py",
    "pretrained/in919.py",
    "pretrained/semi_supervised.py",
    "pretrained/tuned_photos.py",
)
