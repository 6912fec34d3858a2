# PASS_p on ImageNet-S300: --cfg-options data_root=.../ImageNetS300. Eight GPUs make a batch of 256.
# As PASS_s, but step 1 uses PixPro and clustering as L_e, and D2S32.
_base_ = ["pass_s_in300.py", "../_base_/pass/pass_p.py"]

backbone = dict(out_indices=(2, 3, 4))
view_std = _base_.std
stages = dict(
    pretrain=_base_.pass_p,
    report=dict(title="PASS_p"),
)
