# PASS_s on the built-in demo data, all steps in minutes on two cores. Nothing is downloaded.
_base_ = ["../_base_/pass/pass_s_small.py"]

data = dict(type="demo")
