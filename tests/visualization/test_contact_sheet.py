"""Contact sheets, and regions in the light."""

import numpy as np

from luss.evaluation.category_names import CategoryNames
from luss.visualization.colours import generated_legend, named_legend, true_legend
from luss.visualization.contact_sheet import contact_sheet
from luss.visualization.overlay import spotlight


def test_every_picture_lies_whole_in_a_square_of_its_own():
    pictures = [np.full((10, 20, 3), 40 + value, np.uint8) for value in range(5)]
    sheet = contact_sheet([("first", pictures[:4]), ("second", pictures[4:]), ("none", [])], 20, 3)
    assert sheet.shape[1] == contact_sheet([("", [])], 20, 3).shape[1]
    corners = []
    for value in range(5):
        rows, columns = np.nonzero((sheet == 40 + value).all(axis=2))
        assert len(rows) == 10 * 20
        assert (np.ptp(rows), np.ptp(columns)) == (9, 19)
        corners.append((rows.min(), columns.min()))
    assert corners[0][0] == corners[1][0] == corners[2][0] < corners[3][0] < corners[4][0]
    assert corners[0][1] == corners[3][1] == corners[4][1] < corners[1][1] < corners[2][1]


def test_a_region_stays_as_it_is_and_the_rest_is_dark():
    photo = np.full((40, 40, 3), 200, np.uint8)
    region = np.zeros((40, 40), bool)
    region[10:30, 10:30] = True
    picture = spotlight(photo, region, (255, 214, 0))
    assert (picture[15:25, 15:25] == 200).all()
    assert (picture[:5] == 100).all()
    assert (picture[10, 20] == (255, 214, 0)).all()
    assert (spotlight(photo, np.zeros_like(region), (255, 214, 0)) == 100).all()


def test_names_go_over_what_a_match_says():
    true = true_legend({"classes": ("other", "cat", "dog")})
    legend = generated_legend(4, np.array([0, 2, 1, 0, 0]), true)
    given = CategoryNames(np.array([0, 1, 1, 3, 0]), {1: "puppy", 2: "kitten"})
    named = named_legend(legend, given)
    assert [named.name(index) for index in range(5)] == [
        "other",
        "puppy",
        "puppy",
        "category 3, unmatched",
        "other",
    ]
    assert (named.colours[2] == true.colours[2]).all()
    assert named.unmatched == {3}
    assert named.apply(np.array([[4, 2], [3, 0]])).tolist() == [[0, 1], [3, 0]]
