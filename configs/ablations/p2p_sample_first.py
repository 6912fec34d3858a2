# Equation (2) as in section 4.2: features are sampled, then projected by M_p. The default, as in
# the released code, projects first. No row of the paper compares the two.
_base_ = ["_base_/pass_s.py"]

stages = dict(
    pretrain=dict(model=dict(objectives=dict(p2p=dict(sample_first=True)))),
    report=dict(title="PASS_s, sampled before M_p"),
)
