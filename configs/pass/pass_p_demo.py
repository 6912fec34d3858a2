# PASS_p on the built-in demo data, all steps in minutes on two cores. Nothing is downloaded.
_base_ = ["pass_s_demo.py", "../_base_/pass/pass_p_small.py"]

# As in pass_s_demo.py, views share neither colour nor brightness; their blur differs.
colours = _base_.views.augmentations[:3]
backbone = dict(out_indices=(2, 3, 4))
view_std = _base_.std
stages = dict(
    pretrain=dict(
        _base_.pass_p,
        model=dict(
            _base_.pass_p.model,
            data_preprocessor=dict(
                augmentations=[
                    [*colours, dict(type="GaussianBlur", radius=(0.1, 1.0), probability=1.0)],
                    [*colours, dict(type="GaussianBlur", radius=(0.1, 1.0), probability=0.1)],
                ],
            ),
        ),
        train_dataloader=dict(dataset=dict(pipeline=_base_.two_views)),
        # One warm-up epoch of 24.
        param_scheduler=[
            dict(_base_.pass_p.param_scheduler[0], end=1),
            dict(_base_.pass_p.param_scheduler[1], begin=1),
        ],
    ),
    report=dict(title="PASS_p on the demo data"),
)
