# Table 8(c), "+same-stage sup." over PixelPro, clustering and P2P: 22.6 test mIoU by distance
# matching, ImageNet-S300 (deep-to-shallow, the default of PASS_p: 23.4).
_base_ = ["_base_/pass_p.py"]

stages = dict(
    # Not stated in the paper: we compute these codes with the same prototypes.
    pretrain=dict(model=dict(objectives=dict(d2s=dict(codes_from="same")))),
    report=dict(title="PASS_p, codes of the same stage"),
)
