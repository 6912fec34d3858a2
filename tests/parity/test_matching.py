"""Image-level matching against the released Hungarian matching."""

import numpy as np

from luss.evaluation.matching import match_ids


def test_matching(golden):
    cases = golden("hungarian.npz")
    for n in range(int(cases["ncases"])):
        case = {
            k.removeprefix(f"case{n}_"): v for k, v in cases.items() if k.startswith(f"case{n}_")
        }
        scores = case["pred_multihot"].T.astype(int) @ case["gt_multihot"]
        np.testing.assert_array_equal(scores, case["cooccurrence_pred_by_gt"])
        match = match_ids(scores)
        assert match[0] == 0
        total = scores[np.arange(len(scores)), match[1:] - 1].sum()
        assert total == case["matched_total"]
        if case["optimum_unique"]:
            np.testing.assert_array_equal(match[1:] - 1, case["match_pred_to_gt"])
