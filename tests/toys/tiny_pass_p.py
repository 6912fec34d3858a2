# ruff: noqa: C408
# PASS_p so small that all steps take seconds: tiny_pass_s.py with PixPro and D2S32 in step 1.
_base_ = ["tiny_pass_s.py", "../../configs/_base_/pass/pass_p.py"]

backbone = dict(out_indices=(2, 3, 4))
view_std = _base_.std
step1 = _base_.pass_p
narrow = dict(step1.model.objectives.pixpro, hidden_channels=16, embedding_channels=8)
stages = dict(
    pretrain=dict(
        step1,
        model=dict(step1.model, objectives=dict(step1.model.objectives, pixpro=narrow)),
        train_dataloader=dict(dataset=dict(pipeline=_base_.two_views)),
        param_scheduler=[
            dict(step1.param_scheduler[0], end=1),
            dict(step1.param_scheduler[1], begin=1),
        ],
    ),
)
