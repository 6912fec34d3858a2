# Table 10(a), "Pixel-attention^tau": 29.2 test mIoU, ImageNet-S50 (without: 29.3). PASS_s, whose
# segmentor predicts as the image-level method does: class activation maps tell 'other'.
_base_ = ["_base_/pass_s.py"]

stages = dict(
    # The paper gives no threshold; a fifth of the maximum as in Zhou et al. (2016).
    finetune=dict(model=dict(cam_threshold=0.2)),
    report=dict(title="PASS_s, inference by activation maps"),
)
