"""A run lists its photos, and reads their headers, once."""

import shutil
from collections import Counter

import pytest
from photo_reads import counted, read_photos
from processes import run_ranks

from luss.datasets import image_io
from luss.planning.inspection import inspect_photos
from luss.planning.photo_run import PhotoRun

OPTIONS = {
    "num_workers": 1,
    **{f"stages.{name}.train_cfg.max_epochs": 1 for name in ("pretrain", "pixel_attention")},
    "stages.finetune.train_cfg.max_epochs": 2,
}


@pytest.fixture
def once(photo_folder):
    """One listing of the folder, and one read of each header."""
    headers = [f"header {path.name}" for path in photo_folder.iterdir()]
    return Counter(["listed .", *headers])


@pytest.mark.slow
def test_training_and_resuming_list_the_photos_once_each(photo_folder, tmp_path, once):
    folder = tmp_path / "run"
    run = PhotoRun(
        str(photo_folder), str(folder), 3, 5, foreground="boundary-centre", options=OPTIONS
    )
    with counted(photo_folder, tmp_path / "first") as first:
        run.run()
    assert first == once

    for stage in ("finetune", "evaluate", "report"):
        shutil.rmtree(folder / stage)
    # As in a new process.
    image_io._header.cache_clear()
    with counted(photo_folder, tmp_path / "resumed") as resumed:
        run.run(resume=True)
    assert resumed == once


def test_a_check_lists_the_photos_once(photo_folder, tmp_path, once):
    with counted(photo_folder, tmp_path / "log") as found:
        inspect_photos(str(photo_folder), 3)
    assert found == once


def test_only_the_main_process_lists_the_photos(photo_folder, tmp_path, once):
    run_ranks(read_photos, tmp_path, str(photo_folder))
    main, other = ((tmp_path / str(rank)).read_text() for rank in range(2))
    assert Counter(main.splitlines()) == once
    assert other == ""
