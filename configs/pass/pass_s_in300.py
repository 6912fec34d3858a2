# PASS_s on ImageNet-S300: --cfg-options data_root=.../ImageNetS300. Eight GPUs make a batch of 256.
# The base has the settings of this split in the released code (C). The paper (P) differs: it decays
# the learning rate to 6e-6 in all steps (C: 6e-4), sums the losses with weight 1 (C: halves
# clustering and D2S), sums D2S and P2P over both directions (C: means), and samples before the
# pixel projector M_p of two layers (C: after one of three). See docs/deviations.md for the options.
_base_ = ["../_base_/pass/pass_s.py"]

seed = 10010  # C: in steps 1 and 2; 31 in step 3
stages = dict(
    # C: faiss on one GPU. Here: the same k-means, distributed over all GPUs.
    label_generation=dict(generator=dict(type="TorchKMeans")),
    finetune=dict(seed=31),
)
