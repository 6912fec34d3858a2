"""Choices of ``--foreground``. Imports nothing, so that the help of ``luss train`` is fast."""

__all__ = ["FOREGROUNDS", "PRETRAINED"]

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
