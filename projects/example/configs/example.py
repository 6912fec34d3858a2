# PASS_s on the demo data with the loss, the clusterer, the matcher and the metric of this project.
_base_ = "luss::pass/pass_s_demo.py"
custom_imports = dict(imports=["example"])

matcher = dict(_delete_=True, type="IoUMatcher")
stages = dict(
    pretrain=dict(
        model=dict(
            objectives=dict(variance=dict(type="Variance")),
            loss_weights=dict(loss_variance=0.1),
        ),
    ),
    label_generation=dict(test_cfg=dict(generator=dict(_delete_=True, type="WardClusters"))),
    evaluate=dict(protocol=dict(metrics=["imagenet_s", "fwIoU"])),
    report=dict(title="The example project on the demo data"),
)
