"""``names.json`` in a work dir: what it makes again, what it changes, and how it begins."""

import json
import shutil

import numpy as np
import pytest
from tiny_run import read_tiny

from luss.apis.name_categories import name_categories
from luss.datasets.mask_codec import read_mask, write_mask
from luss.errors import LussError
from luss.evaluation.category_names import read_category_names
from luss.evaluation.evaluate_folders import evaluate_folders
from luss.evaluation.matching import read_match
from luss.pipeline import Pipeline

STAGES = ("pretrain", "pixel_attention", "label_generation", "finetune", "evaluate", "report")
MERGED = {"1": {"name": "round", "merge_into": 3}, "5": {"drop": True}}


@pytest.fixture
def work_dir(finished_run, tmp_path):
    run = shutil.copytree(finished_run, tmp_path / "run")
    go_on(run)
    return run


def go_on(work_dir, **only):
    config = read_tiny()
    config.stages.report = {"type": "Report", "sections": ["metrics", "discovered"]}
    Pipeline(config, str(work_dir)).run(**only)


def write_names(work_dir, categories):
    (work_dir / "names.json").write_text(json.dumps({"categories": categories}))


def identities(work_dir):
    notes = {stage: json.loads((work_dir / stage / "inputs.json").read_text()) for stage in STAGES}
    return {stage: note["identity"] for stage, note in notes.items()}


def made_again(work_dir):
    before = identities(work_dir)
    go_on(work_dir)
    return [stage for stage, identity in identities(work_dir).items() if before[stage] != identity]


def results(work_dir):
    return json.loads((work_dir / "results.json").read_text())


def test_only_what_depends_on_names_is_made_again(work_dir):
    assert made_again(work_dir) == []
    write_names(work_dir, {"1": {"name": ""}, "2": {}})
    assert made_again(work_dir) == []
    write_names(work_dir, {"1": {"name": "round"}})
    assert made_again(work_dir) == ["report"]
    page = (work_dir / "report" / "index.html").read_text()
    assert "category 1: round" in page
    assert "fully_unsupervised_named" not in results(work_dir)
    plain = results(work_dir)["fully_unsupervised"]

    write_names(work_dir, MERGED)
    assert made_again(work_dir) == ["evaluate", "report"]
    assert results(work_dir)["fully_unsupervised"] == plain
    page = (work_dir / "report" / "index.html").read_text()
    for said in ("category 1, merged into 3", "category 5: dropped", "A person merged or dropped"):
        assert said in page
    assert made_again(work_dir) == []

    (work_dir / "names.json").unlink()
    assert made_again(work_dir) == ["evaluate", "report"]
    assert "fully_unsupervised_named" not in results(work_dir)
    assert results(work_dir)["provenance"]["names.json"] is None
    assert not (work_dir / "evaluate" / "match_named.json").exists()


def test_a_report_alone_is_not_made_from_outdated_numbers(work_dir):
    write_names(work_dir, MERGED)
    with pytest.raises(LussError, match=r"'report'.*'evaluate'"):
        go_on(work_dir, only="report")


def test_named_numbers_are_those_of_masks_with_merged_ids(work_dir, tmp_path):
    write_names(work_dir, MERGED)
    go_on(work_dir)
    kept = read_category_names(work_dir / "names.json", 6).kept
    assert kept.tolist() == [0, 3, 2, 3, 4, 0, 6]
    match = read_match(work_dir / "evaluate" / "match_named.json")
    assert match[1] == match[3]
    assert match[5] == 0
    for split, short in (("validation", "val"), ("test", "test")):
        predictions = work_dir / "evaluate" / "predictions" / split
        for path in predictions.rglob("*.png"):
            write_mask(tmp_path / split / path.relative_to(predictions), kept[read_mask(path)])
        expected = evaluate_folders(
            tmp_path / split,
            work_dir / "data" / f"{split}-segmentation",
            match="find" if split == "validation" else work_dir / "evaluate/match_named.json",
        )
        found = results(work_dir)["fully_unsupervised_named"][short]
        assert found.items() <= expected.items()


def test_what_cannot_be_meant_is_said_before_anything_is_made_again(work_dir):
    before = identities(work_dir)
    write_names(work_dir, {"7": {"name": "seven"}})
    with pytest.raises(LussError, match=r"category '7'\. Expected 1\.\.6"):
        go_on(work_dir)
    assert identities(work_dir) == before
    assert (work_dir / "evaluate" / "done.json").exists()


def test_the_file_begins_empty_and_keeps_what_is_written(work_dir):
    done = name_categories(work_dir, typical=3, spread=2)
    assert done.added == [1, 2, 3, 4, 5, 6]
    content = json.loads(done.names_file.read_text())
    assert content["categories"]["4"] == {"name": ""}
    assert made_again(work_dir) == []
    content["categories"] = {"2": {"name": "star"}, "6": {"name": "star"}, **MERGED}
    done.names_file.write_text(json.dumps(content))
    again = name_categories(work_dir, typical=3, spread=2)
    assert again.added == [3, 4]
    assert again.twins == {"star": [2, 6]}
    completed = json.loads(done.names_file.read_text())
    assert completed["categories"].items() >= content["categories"].items()
    page = again.page.read_text()
    assert "category 2: star" in page
    assert "evaluation matched it to" in page
    # A person's word only: what a match says never comes into the file.
    assert "evaluation" not in done.names_file.read_text()
    sheets = sorted(path.name for path in again.page.parent.glob("*.jpg"))
    assert sheets == [f"category_{index}.jpg" for index in range(1, 7)]


def test_names_of_another_clustering_are_refused(work_dir):
    path = name_categories(work_dir, typical=1, spread=0).names_file
    path.write_text(path.read_text().replace('"centroids": "', '"centroids": "0'))
    with pytest.raises(LussError, match="another clustering"):
        name_categories(work_dir)
    with pytest.raises(LussError, match="another clustering"):
        go_on(work_dir)


def test_sheets_need_categories_and_their_photos(work_dir, tmp_path):
    with pytest.raises(LussError, match=r"config\.py"):
        name_categories(tmp_path)
    with pytest.raises(LussError, match="typical is 0 and spread is 0"):
        name_categories(work_dir, typical=0, spread=0)
    first = next((work_dir / "data" / "train").rglob("*.JPEG"))
    first.rename(first.with_name("renamed.JPEG"))
    with pytest.raises(LussError, match=r"the photos of 'train' .* Give the folder"):
        name_categories(work_dir)
    # A wrong folder is named; demo data are not drawn into it.
    for wrong in (tmp_path / "typo", tmp_path):
        before = set(tmp_path.rglob("*"))
        with pytest.raises(LussError, match=str(wrong)):
            name_categories(work_dir, data_root=wrong)
        assert set(tmp_path.rglob("*")) == before
    (work_dir / "label_generation" / "done.json").unlink()
    with pytest.raises(LussError, match="discovered categories"):
        name_categories(work_dir)


def test_typical_photos_come_first(work_dir):
    """Against distances that are computed photo by photo."""
    from luss.visualization.category_sheets import read_members

    labels = work_dir / "label_generation"
    with np.load(labels / "centroids.npz") as arrays:
        centroids, assignments = arrays["centroids"], arrays["assignments"]
    members = read_members(labels / "centroids.npz", labels / "embeddings.npy", len(assignments))
    embeddings = np.load(labels / "embeddings.npy")
    assert sorted(np.concatenate(members.ordered).tolist()) == list(range(len(assignments)))
    for category, photos in enumerate(members.ordered):
        assert (assignments[photos] == category).all()
        away = [((embeddings[photo] - centroids[category]) ** 2).sum() for photo in photos]
        assert away == sorted(away)
