"""Listing photos knows the folders of runs by what a work dir writes."""

from mmengine import Config

from luss.datasets.photo_listing import is_work_dir
from luss.pipeline.work_dir import WorkDir


def test_a_work_dir_is_passed_over(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    assert not is_work_dir(folder)
    WorkDir(folder).record(Config({"seed": 1}), {"pretrain": {"seed": 1}})
    assert is_work_dir(folder)
