"""What ColorJitter draws, read off the colours that a pure red becomes."""

import colorsys

import torch

from luss.models.data_preprocessors.photometric import ColorJitter


def red(count):
    return torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(count, -1, -1, -1)


def test_hue_turns_both_ways_by_up_to_the_strength():
    torch.manual_seed(0)
    turned = ColorJitter(0, 0, 0, hue=0.2, probability=1.0)(red(3000))[:, :, 0, 0]
    hues = torch.tensor([colorsys.rgb_to_hsv(*colour)[0] for colour in turned.tolist()])
    turns = (hues + 0.5) % 1 - 0.5
    assert -0.2001 < turns.min() < -0.198
    assert 0.198 < turns.max() < 0.2001
    # Four standard errors of the mean of uniform numbers.
    assert abs(turns.mean()) < 4 * 0.4 / 12**0.5 / 3000**0.5


def test_the_order_is_drawn_for_each_batch():
    """Paled first, then turned, red has the value .299 + .701 s, s its chroma (BT.601).

    The other way round its luma is that of the turned, pure colour.
    """
    jitter = ColorJitter(0, 0, saturation=0.8, hue=0.2, probability=1.0)
    paled_first = []
    for seed in range(40):
        torch.manual_seed(seed)
        colours = jitter(red(16))[:, :, 0, 0]
        value = colours.amax(dim=1)
        chroma = value - colours.amin(dim=1)
        # Of stronger colours some channels are clamped.
        paled = chroma < 0.95
        assert paled.any()
        fits = (value - 0.299 - 0.701 * chroma).abs()[paled] < 1e-5
        hues = [colorsys.rgb_to_hsv(*colour)[0] for colour in colours.tolist()]
        pure = torch.tensor([colorsys.hsv_to_rgb(hue, 1, 1) for hue in hues])
        luma = torch.tensor([0.299, 0.587, 0.114])
        turned_first = (colours @ luma - pure @ luma).abs()[paled] < 1e-5
        assert fits.all() != turned_first.all()
        paled_first.append(bool(fits.all()))
    # All but one in 10^4 of fair draws.
    assert 8 < sum(paled_first) < 32
