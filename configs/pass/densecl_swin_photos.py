# DenseCL as L_e with P2P and D2S on a Swin Transformer. D2S uses the codes of the clustering
# objective, which is trained, too.
_base_ = ["pass_s_swin_photos.py"]

densecl = dict(
    type="mmselfsup.DenseCL",
    queue_len=4096,  # a multiple of the batch
    neck=dict(type="DenseCLNeck", hid_channels=768, out_channels=128),
    head=dict(type="ContrastiveHead", loss=dict(type="mmcls.CrossEntropyLoss"), temperature=0.2),
)
hooks = [
    *_base_.stages.pretrain.custom_hooks,
    dict(type="DenseCLHook", start_iters=1000),
]
model = dict(type="AlgorithmWithObjectives", algorithm=densecl, num_views=2)
stages = dict(pretrain=dict(model=model, custom_hooks=hooks))
