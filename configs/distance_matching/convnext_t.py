# ConvNeXt-T with its ImageNet weights. There is no published result: the 45.1 of table 14 is for a
# ConvNeXt-T that was first fine-tuned on the masks of train-semi, which no config here does.
_base_ = ["../_base_/protocols/distance_matching.py"]

backbone = dict(type="mmcls.ConvNeXt", arch="tiny", gap_before_final_norm=False)
