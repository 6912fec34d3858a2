# Semi-supervised fine-tuning (section 5.6) of a pretrained backbone, on any split root or folder of
# photos with true masks of train-semi:
#   python tools/train.py configs/pretrained/semi_supervised.py --cfg-options data_root=DIR \
#       backbone.preset=dinov2_vits14 backbone.weights=FILE
# Images and epochs are those of semi_supervised_adamw.py; the rates fit one process.
_base_ = [
    "../pass/pretrained_photos.py",
    "../_base_/protocols/semi_supervised_adamw.py",
    "../_base_/protocols/tuned_backbone.py",
]

crop_size = 224
head = dict(_base_.stages.finetune.model.decode_head, num_classes="${facts.num_true_outputs}")
stages = dict(
    _delete_=True,
    pretrain=_base_.stages.pretrain,
    finetune_semi=dict(
        _base_.finetune_semi,
        model=dict(
            _base_.stages.finetune.model,
            **dict(_base_.semi_supervised_model, decode_head=head, label_stride=4, scales=(1,)),
            **_base_.tuned_model,
        ),
        optim_wrapper=_base_.tuned_optim_wrapper,
    ),
    semi_supervised=dict(
        _base_.semi_supervised, test_dataloader=_base_.stages.evaluate.test_dataloader
    ),
)
