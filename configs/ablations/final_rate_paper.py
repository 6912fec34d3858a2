# Section 5.1: the learning rate ends at 6e-6 in all steps; the default, as in
# the released code, ends at 6e-4. No row of the paper compares the two.
_base_ = ["_base_/pass_s.py"]

cosine = [dict(type="CosineAnnealingLR", eta_min=6e-6, by_epoch=True, convert_to_iter_based=True)]
stages = dict(
    pretrain=dict(param_scheduler=cosine),
    pixel_attention=dict(param_scheduler=cosine),
    finetune=dict(param_scheduler=cosine),
    report=dict(title="PASS_s, final rate of the paper"),
)
