# Table 10(a), "Pixel-attention^tau": 29.2 test mIoU, ImageNet-S50 (without: 29.3). PASS_s, but
# class activation maps separate 'other' in the predictions, as in the image-level method.
_base_ = ["_base_/pass_s.py"]

stages = dict(
    # The paper gives no threshold; we use a fifth of the maximum, as in Zhou et al. (2016).
    finetune=dict(model=dict(cam_threshold=0.2)),
    report=dict(title="PASS_s, inference by activation maps"),
)
