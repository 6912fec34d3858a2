# Steps 2 to 4 and all protocols from a pretrained DINOv2 ViT-S/14: --cfg-options weights=FILE
_base_ = [
    "../_base_/pass/pass_s_photos_patch14.py",
    "../_base_/protocols/semi_supervised_adamw_vit_s.py",
]
vit = dict(type="LayerScaleVisionTransformer", arch="deit-small", patch_size=14, img_size=518)
new = dict(model=dict(backbone=dict(vit, _delete_=True)))
tuned = dict(vit, drop_path_rate=_base_.drop_path_rate)
model = dict(_base_.stages.finetune.model, **_base_.semi_supervised_model, backbone=tuned)
photos = dict(pipeline=_base_.stages.evaluate.pipeline)
stages = dict(
    pretrain=dict(new, type="PretrainStage", weights=dict(layout="dinov2")),
    pixel_attention=new,
    finetune=new,
    distance_matching=dict(photos, type="DistanceMatchingStage"),
    finetune_semi=dict(_base_.stages.finetune, **_base_.semi_supervised_adamw, model=model),
    semi_supervised=dict(photos, type="SemiSupervisedStage"),
)
