# PASS_s on a few thousand photos with a Swin Transformer.
_base_ = ["pass_s_photos.py"]

backbone = dict(
    _delete_=True,
    type="mmcls.SwinTransformer",
    arch="tiny",
    out_indices=(2, 3),
    pad_small_map=True,  # crops of 64 px have maps smaller than a window
)
adamw = dict(_delete_=True, type="OptimWrapper", optimizer=dict(type="AdamW", lr=5e-4))
cosine = [dict(type="CosineAnnealingLR", eta_min=5e-6, by_epoch=True, convert_to_iter_based=True)]
changes = dict(optim_wrapper=adamw, param_scheduler=cosine)
stages = dict(
    pretrain=changes,
    pixel_attention=changes,
    # The head reads only the last map, so the norm of the map before has no gradient.
    finetune=dict(changes, find_unused_parameters=True),
)
