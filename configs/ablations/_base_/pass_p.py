# As pass_s.py, for ablations of PASS_p.
_base_ = ["../../pass/pass_p_{{$LUSS_ABLATIONS:in50}}.py"]

# Comparable with the paper, whose predictions are not refined.
stages = dict(evaluate=dict(refiner=None))
