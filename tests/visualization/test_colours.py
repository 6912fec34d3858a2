import numpy as np

from luss.datasets.mask_codec import IGNORE_ID
from luss.visualization.colours import UNMATCHED_COLOUR, generated_legend, true_legend

METAINFO = {"classes": ("other", "a", "b"), "palette": [(0, 0, 0), (10, 20, 30), (200, 100, 0)]}


def test_a_matched_category_has_colour_and_name_of_its_class():
    true = true_legend(METAINFO)
    generated = generated_legend(4, np.array([0, 2, 0, 1, 2]), true)
    assert [tuple(generated.colours[index]) for index in (1, 3, 4)] == [
        (200, 100, 0),
        (10, 20, 30),
        (200, 100, 0),
    ]
    assert [generated.name(index) for index in (1, 3, 4)] == ["b", "a", "b"]
    assert generated.swatch(1) == true.swatch(2) == "rgb(200, 100, 0)"


def test_a_category_left_over_is_grey_and_called_unmatched():
    generated = generated_legend(3, np.array([0, 2]), true_legend(METAINFO))
    assert generated.unmatched == {2, 3}
    assert tuple(generated.colours[3]) == UNMATCHED_COLOUR
    assert generated.name(3) == "category 3, unmatched"
    assert "gradient" in generated.swatch(3)


def test_without_a_match_every_category_has_a_colour_of_its_own():
    generated = generated_legend(24, None, true_legend({}))
    assert len({tuple(colour) for colour in generated.colours[1:25]}) == 24
    assert generated.unmatched == frozenset()
    assert generated.name(24) == "category 24"


def test_ignored_pixels_and_unknown_ids_have_names():
    true = true_legend(METAINFO)
    assert true.name(IGNORE_ID) == "ignored"
    assert true.name(77) == "id 77"
