# As pass_s.py, for those that change PASS_p.
_base_ = ["../../pass/pass_p_{{$LUSS_ABLATIONS:in50}}.py"]
