# PASS_s on photos as pass_s_photos_prior.py, with the plain mean of two maps as the foreground.
_base_ = "luss::pass/pass_s_photos_prior.py"
custom_imports = dict(imports=["foreground_sources"])

mean = dict(
    _delete_=True,
    type="MeanOfMaps",
    sources=[dict(type="BoundaryPrior"), dict(type="CentrePrior")],
)
stages = dict(
    label_generation=dict(test_cfg=dict(foreground=mean)),
    report=dict(title="PASS_s + mean of priors on photos"),
)
