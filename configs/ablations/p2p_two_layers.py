# Section 4.2: M_p has two convolutions; the default, as in the released code, has three. No row of
# the paper compares the two.
_base_ = ["_base_/pass_s.py"]

stages = dict(
    pretrain=dict(model=dict(objectives=dict(p2p=dict(projector_layers=2)))),
    report=dict(title="PASS_s, M_p of two layers"),
)
