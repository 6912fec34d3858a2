"""The inferencer of the tiny run."""

import pytest

from luss.apis import LUSSInferencer


@pytest.fixture(scope="module")
def inferencer(finished_run):
    return LUSSInferencer(finished_run, device="cpu")


@pytest.fixture(scope="module")
def photos(finished_run):
    """Folder of the photos that the run evaluated."""
    return finished_run / "data" / "validation"
