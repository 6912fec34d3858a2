# Steps 2 to 4 and all protocols from a pretrained DINOv2 ViT-S/14: --cfg-options weights=FILE
_base_ = ["pass_s_photos.py", "../_base_/protocols/semi_supervised_adamw.py"]

vit = dict(type="LayerScaleVisionTransformer", arch="deit-small", patch_size=14, img_size=518)
new = dict(model=dict(backbone=dict(vit, _delete_=True)))
tuning = dict(_base_.stages.finetune, model=dict(_base_.stages.finetune.model, backbone=vit))
stages = dict(
    pretrain=dict(new, type="PretrainStage", weights=dict(layout="dinov2")),
    pixel_attention=new,
    finetune=new,
    distance_matching=dict(type="DistanceMatchingStage"),
    finetune_semi=dict(tuning, **_base_.semi_supervised_adamw),
    semi_supervised=dict(type="SemiSupervisedStage", pipeline=_base_.stages.evaluate.pipeline),
)
