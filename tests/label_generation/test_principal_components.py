"""Principal components against a singular value decomposition."""

import numpy as np
import pytest
import torch

from luss.errors import LussError
from luss.label_generation.principal_components import principal_components


@pytest.mark.parametrize(("length", "count"), [(6, 3), (3, 3), (40, 5)])
def test_components_are_those_of_all_rows_together(length, count):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(90, length)) * np.arange(1, length + 1) + 3
    parts = torch.from_numpy(rows).split([7, 23, 60])
    mean, components = (found.numpy() for found in principal_components(parts, count))
    np.testing.assert_allclose(mean, rows.mean(axis=0))
    expected = np.linalg.svd(rows - rows.mean(axis=0))[2][:count]
    np.testing.assert_allclose(np.abs((components * expected).sum(axis=1)), 1)
    assert (components.max(axis=1) == np.abs(components).max(axis=1)).all()


def test_bad_input_is_named():
    rows = torch.ones(8, 40)
    with pytest.raises(LussError, match=r"41, .* 40 values"):
        principal_components([rows], 41)
    rows[2, 1] = torch.nan
    with pytest.raises(LussError, match="NaN or infinite"):
        principal_components([rows], 2)
