# Fine-tuning of a pretrained backbone with a head that starts from zero. The head learns at the
# rate of a frozen backbone, the backbone at a hundredth of it, and less towards the input.
tuned_model = dict(frozen_backbone=False, norm_eval=True)
tuned_optim_wrapper = dict(
    type="OptimWrapper",
    constructor="LayerDecayOptimWrapperConstructor",
    paramwise_cfg=dict(layer_decay=0.65, backbone_lr_mult=0.01),
    optimizer=dict(type="AdamW", lr=1e-2, weight_decay=1e-2),
)
