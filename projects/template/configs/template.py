# PASS_s on photos with the loss of this project as one more objective of pretraining.
_base_ = "luss::pass/pass_s_photos.py"
custom_imports = dict(imports=["template"])

stages = dict(
    pretrain=dict(
        model=dict(
            objectives=dict(template=dict(type="TemplateLoss")),
            loss_weights=dict(loss_template=0.1),
        ),
    ),
    report=dict(title="template"),
)
