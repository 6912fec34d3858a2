# Steps 2 to 4 and all protocols from a pretrained DINOv2 ViT-S/14: --cfg-options weights=FILE
_base_ = ["pass_s_photos.py", "../_base_/protocols/semi_supervised_adamw_vit_s.py"]
vit = dict(type="LayerScaleVisionTransformer", arch="deit-small", patch_size=14, img_size=518)
backbone = dict(vit, _delete_=True)
short_side = crop_size = 224
multiple = 14
view_std = _base_.std  # as for the weights
tuned = dict(vit, drop_path_rate=_base_.drop_path_rate)
photos = _base_.stages.evaluate.test_dataloader
stages = dict(
    pretrain=dict(pretrained=dict(_delete_=True, file="${facts.weights}", layout="dinov2")),
    distance_matching=dict(
        type="Test",
        protocol=dict(type="DistanceMatching"),
        model=dict(type="DistanceMatcher", backbone="${pretrain.model.backbone}"),
        weights="${pretrain.checkpoint}",
        test_dataloader=photos,
    ),
    finetune_semi=dict(
        _base_.finetune_semi,
        model=dict(_base_.stages.finetune.model, **_base_.semi_supervised_model, backbone=tuned),
    ),
    semi_supervised=dict(_base_.semi_supervised, test_dataloader=photos),
)
