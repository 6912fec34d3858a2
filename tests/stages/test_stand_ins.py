"""Settings that read folders of other stages, before and after those stages have run."""

import pytest

from luss.stages.stand_ins import (
    loads_maps,
    with_stand_ins,
    without_map_loading,
)

LOAD = {"type": "LoadRGBImage"}


def load_maps(folder):
    return {"type": "LoadForegroundAsMask", "folder": str(folder)}


@pytest.fixture
def root(tmp_path):
    """A work dir in which one stage is finished, and another has begun."""
    for name in ("finished", "begun"):
        (tmp_path / name / "maps").mkdir(parents=True)
        (tmp_path / name / "inputs.json").touch()
    (tmp_path / "finished" / "done.json").touch()
    return tmp_path


def test_folders_of_stages_that_are_not_finished_are_replaced(root):
    def sources(*folders):
        folders = [{"type": "FolderOfMaps", "folder": str(folder)} for folder in folders]
        return {"type": "MeanOfRanks", "sources": folders}

    stages = [root / name / "maps" for name in ("finished", "begun", "to_come")]
    given = sources(*stages, "/elsewhere")
    assert with_stand_ins(given, root) == sources(stages[0], root, root, "/elsewhere")
    other = {"type": "Own", "folder": str(stages[2])}
    assert with_stand_ins(other, root) == other


def test_nothing_changes_where_all_is_there(root):
    """Also not the kind of sequence: only unchanged sources have their maps checked."""
    source = {"type": "FolderOfMaps", "folder": str(root / "finished" / "maps")}
    given = {"type": "MeanOfRanks", "sources": (source, {"type": "CentrePrior"})}
    assert with_stand_ins(given, root) == given


def test_maps_of_stages_that_are_not_finished_are_made_up(root):
    for stage, kind in (
        ("finished", "LoadForegroundAsMask"),
        ("begun", "StandInForegroundAsMask"),
        ("to_come", "StandInForegroundAsMask"),
    ):
        load = load_maps(root / stage / "maps")
        expected = {"dataset": {"pipeline": [LOAD, {**load, "type": kind}]}}
        assert with_stand_ins({"dataset": {"pipeline": [LOAD, load]}}, root) == expected


def test_labels_of_stages_that_are_not_finished_are_made_up(root):
    def pipeline(stage):
        folder = str(root / stage / "pseudo_labels")
        return [LOAD, {"type": "FindMask", "root": folder, "num_classes": 7}, {"type": "LoadMask"}]

    (root / "finished" / "pseudo_labels").mkdir()
    assert with_stand_ins(pipeline("finished"), root) == pipeline("finished")
    made_up = [LOAD, {"type": "StandInMask", "num_classes": 7}]
    assert with_stand_ins(pipeline("to_come"), root) == made_up


def test_steps_that_load_maps_are_found_and_left_out():
    given = {"embedding": {"pipeline": [LOAD, load_maps("maps"), {"type": "PackInputs"}]}}
    left = {"embedding": {"pipeline": [LOAD, {"type": "PackInputs"}]}}
    assert loads_maps(given)
    assert without_map_loading(given) == left
    assert not loads_maps(left)
