# Table 14, Res2Net-50 (26w, 4s): test mIoU 35.7 on ImageNet-S.
_base_ = ["../_base_/protocols/distance_matching.py"]

# The plain network of the paper's reference; mmcls' defaults build the later v1b.
backbone = dict(
    type="mmcls.Res2Net", depth=50, scales=4, base_width=26, deep_stem=False, avg_down=False
)
