import torch
from tolerance import assert_close

from luss.models.objectives.sinkhorn import sinkhorn


def test_codes(golden):
    arrays = golden("sinkhorn.npz")
    for case in range(int(arrays["ncases"])):
        codes = sinkhorn(
            torch.from_numpy(arrays[f"case{case}_scores"]),
            float(arrays[f"case{case}_epsilon"]),
            int(arrays[f"case{case}_iterations"]),
        )
        assert_close(codes, arrays[f"case{case}_q"])
