# PASS_p on a few thousand photos of about 160 px: --cfg-options data_root=DIR, as pass_s_photos.py.
_base_ = ["pass_s_photos.py", "../_base_/pass/pass_p_small.py"]

backbone = dict(out_indices=(2, 3, 4))
view_std = _base_.std
stages = dict(
    pretrain=_base_.pass_p,
    report=dict(title="PASS_p on photos"),
)
