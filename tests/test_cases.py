"""Small folders of data that went wrong, beside the checkout; see ``LUSS_CASES``."""

import pytest

from luss.evaluation.evaluate_folders import evaluate_folders
from luss.planning.inspection import inspect_photos


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("foreground_is_255", ["class 1 ('object') occurs in no mask", "255, which is ignored"]),
        ("first_class_is_0", ["class 4 ('panda') occurs in no mask", "data.mask_id_shift=1"]),
        ("class_order", ["no mask in the folder 'aa_panda' contains its id"]),
        ("exif180", ["16 of the 16 photos with a mask have an EXIF"]),
        ("twelve_bit", ["8 photos have 16 bits", "4095", "Multiply their values by 16"]),
    ],
)
def test_what_is_wrong_is_said(case, said, case_path):
    found = inspect_photos(str(case_path(case)), 4)
    assert not found.problems
    assert not any("sound" in line for line in found.lines)
    for phrase in said:
        assert any(phrase in line for line in found.warnings), (phrase, found.warnings)


@pytest.mark.parametrize("case", ["voc_palette", "grey_void255"])
def test_indices_are_evaluated(case, case_path):
    root = case_path(case)
    # Predictions fill the rectangle of the truth, the rim of which is ignored.
    found = evaluate_folders(root / "pred", root / "gt", 3, encoding="index")
    assert found["mIoU"] == pytest.approx(100)
    assert "warnings" not in found
