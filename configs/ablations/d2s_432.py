# Equations (3) and (4) with S = {4, 3, 2}: no row of the paper. Stage 4 has no M_K, and its M_I
# is separate from that of L_e.
_base_ = ["d2s_32.py"]

stages = dict(
    pretrain=dict(
        model=dict(
            objectives=dict(d2s=dict(stages=(4, 3, 2))),
            loss_weights=dict(loss_clustering=1 / 4, loss_d2s=1 / 4),
        ),
    ),
    report=dict(title="PASS_s, D2S432"),
)
