# PASS_s, the base of the ablations: on ImageNet-S50, or on the data in LUSS_ABLATIONS (in300,
# in919, photos or demo).
_base_ = ["../../pass/pass_s_{{$LUSS_ABLATIONS:in50}}.py"]

# Comparable with the paper, whose predictions are not refined.
stages = dict(evaluate=dict(refiner=None))
