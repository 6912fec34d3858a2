"""What may tell objects from 'other'. Imports nothing: the help of ``luss train`` lists them."""

__all__ = ["FOREGROUNDS"]

FOREGROUNDS = {
    # Colours unlike the photo's frame, near its centre, with region contrast and GrabCut.
    "prior": "luss::pass/pass_s_photos_prior.py",
    # Colours unlike the photo's frame, near its centre.
    "boundary-centre": "luss::pass/pass_s_photos_prior.py",
    # Salient regions by colour.
    "region-contrast": "luss::pass/pass_s_photos_rc.py",
    # What the model's pixel attention, which is trained, looks at.
    "attention": "luss::pass/pass_s_photos.py",
}
"""Name of each foreground -> the config that is trained by it."""
