# PASS_s, which the ablations change: on ImageNet-S50, or on what LUSS_ABLATIONS names: in300,
# in919, photos or demo.
_base_ = ["../../pass/pass_s_{{$LUSS_ABLATIONS:in50}}.py"]
