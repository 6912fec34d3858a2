"""Configs of ``luss train``. Imports nothing, so that its help is fast."""

__all__ = ["FOREGROUNDS", "NEAREST_CENTROID", "PRETRAINED", "TUNED"]

FOREGROUNDS = {
    # Colours unlike the photo's border, near its centre; with region contrast and GrabCut.
    "prior": "luss::pass/pass_s_photos_prior.py",
    # Colours unlike the photo's border, near its centre.
    "boundary-centre": "luss::pass/pass_s_photos_prior.py",
    # Salient regions by colour.
    "region-contrast": "luss::pass/pass_s_photos_rc.py",
    # The model's trained pixel attention.
    "attention": "luss::pass/pass_s_photos.py",
}
"""Name of each foreground -> its config."""

PRETRAINED = "luss::pass/pretrained_photos.py"
"""Config of ``--backbone``."""

NEAREST_CENTROID = "luss::pass/nearest_centroid_photos.py"
"""Config of ``--backbone`` with ``--no-finetune``."""

TUNED = "luss::pretrained/tuned_photos.py"
"""Config of ``--backbone`` with ``--tune``."""
