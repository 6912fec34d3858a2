# PASS_p on ImageNet-S: --cfg-options data_root=.../ImageNetS919. Eight GPUs make a batch of 256.
# As PASS_s, but step 1 uses PixPro and clustering as L_e, and D2S32.
_base_ = ["pass_s_in919.py", "../_base_/pass/pass_p.py"]

backbone = dict(out_indices=(2, 3, 4))
view_std = _base_.std
stages = dict(
    pretrain=_base_.pass_p,
    report=dict(title="PASS_p"),
)
