"""``names.json``: what a person says of discovered categories is taken as it is, or refused."""

import json

import numpy as np
import pytest

from luss.errors import LussError
from luss.evaluation.category_names import (
    CategoryNames,
    complete_category_names,
    digest_of_clustering,
    read_category_names,
)


@pytest.fixture
def written(tmp_path):
    def write(categories, **rest):
        path = tmp_path / "names.json"
        path.write_text(json.dumps({**rest, "categories": categories}))
        return path

    return write


def test_without_a_file_every_category_stays_as_it_is(tmp_path):
    names = read_category_names(tmp_path / "names.json", 3)
    assert names.kept.tolist() == [0, 1, 2, 3]
    assert [names.name(index) for index in range(4)] == [
        "other",
        "category 1",
        "category 2",
        "category 3",
    ]
    assert not names.changes_ids
    assert names.digest() is None


def test_merged_categories_take_id_and_name_of_where_the_chain_ends(written):
    path = written(
        {
            "1": {"name": " dog "},
            "2": {"name": "puppy", "merge_into": 4},
            "3": {"name": "", "drop": True},
            "4": {"merge_into": 1},
            "5": {"drop": False},
        }
    )
    names = read_category_names(path, 6)
    assert names.kept.tolist() == [0, 1, 1, 0, 1, 5, 6]
    said = [names.name(index) for index in range(7)]
    assert said == ["other", "dog", "dog", "other", "dog", "category 5", "category 6"]
    mask = np.array([[0, 2, 3], [4, 6, 1]], np.uint16)
    assert names.apply(mask).tolist() == [[0, 1, 0], [1, 6, 1]]
    with pytest.raises(LussError, match=r"ids in 1\.\.7"):
        names.apply(np.array([[1, 7]]))
    with pytest.raises(LussError, match="category 7"):
        names.name(7)


def test_the_digest_tells_what_matters(written):
    def digests(categories):
        names = read_category_names(written(categories), 3)
        return names.digest(), names.digest(of_names=False)

    assert digests({"1": {"name": ""}, "2": {}, "3": {"name": " "}}) == (None, None)
    dog, merged = digests({"1": {"name": "dog"}}), digests({"2": {"merge_into": 1}})
    assert dog[0] is not None
    assert dog[1] is None
    assert merged[0] == merged[1] is not None
    both = digests({"1": {"name": "dog"}, "2": {"merge_into": 1}})
    assert both[1] == merged[1]
    assert len({dog[0], merged[0], both[0], digests({"2": {"drop": True}})[0]}) == 4
    # The name of what is merged shows nowhere, but the order of entries must not matter.
    assert digests({"2": {"merge_into": 1}, "1": {"name": "dog"}}) == both


@pytest.mark.parametrize(
    ("categories", "said"),
    [
        ({"4": {}}, "category '4'. Expected 1..3"),
        ({"0": {"name": "sky"}}, "category '0'"),
        ({"01": {}}, "category '01'"),
        ({"one": {}}, "category 'one'"),
        ({"1": "dog"}, "category 1 in .* is 'dog'"),
        ({"1": {"nam": "dog"}}, "key 'nam'; did you mean 'name'?"),
        ({"1": {"name": 3}}, "the name of category 1 in .* is '3', expected one line"),
        ({"1": {"name": "a\nb"}}, "expected one line"),
        ({"1": {"name": "a" * 201}}, "at most 200 characters"),
        ({"1": {"drop": 1}}, "'drop' of category 1 in .* is 1, expected true or false"),
        ({"1": {"drop": True, "merge_into": 2}}, "is dropped and merged"),
        ({"1": {"merge_into": "2"}}, "'merge_into' of category 1 in .* is '2'"),
        ({"1": {"merge_into": True}}, "'merge_into' of category 1 in .* is True"),
        ({"1": {"merge_into": None}}, "'merge_into' of category 1 in .* is None"),
        ({"1": {"merge_into": 4}}, "category 4. Expected 1..3"),
        ({"1": {"merge_into": 0}}, "to make it 'other', write \"drop\": true"),
        ({"1": {"merge_into": 1}}, "in a circle, 1 -> 1"),
        ({"3": {"merge_into": 1}, "1": {"merge_into": 2}, "2": {"merge_into": 1}}, "1 -> 2 -> 1"),
        (
            {"3": {"merge_into": 1}, "1": {"drop": True}},
            "category 3 in .* is merged into 1, which is dropped",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(written, categories, said):
    path = written(categories)
    content = path.read_bytes()
    for read in (read_category_names, complete_category_names):
        with pytest.raises(LussError, match=said) as caught:
            read(path, 3)
        assert str(path) in str(caught.value)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"categories": {"1": {}, "1": {"name": "dog"}}}', "'1' occurs twice"),
        ('{"categories": [1]}', "no object 'categories'"),
        ("{}", "no object 'categories'"),
        ('{"categores": {}}', "key 'categores'; did you mean 'categories'?"),
        ('{"centroids": 3, "categories": {}}', "'centroids' in .* is 3, expected text"),
        ('{"categories"', "names\\.json is damaged"),
    ],
)
def test_damaged_files_are_refused(tmp_path, content, said):
    path = tmp_path / "names.json"
    path.write_text(content)
    with pytest.raises(LussError, match=said):
        read_category_names(path, 3)


def test_what_was_written_is_kept_and_missing_categories_are_added(written):
    path = written({"11": {"name": "dog"}, "2": {"merge_into": 11}})
    assert complete_category_names(path, 11, "abc") == [1, 3, 4, 5, 6, 7, 8, 9, 10]
    content = json.loads(path.read_text())
    assert content["centroids"] == "abc"
    assert list(content["categories"]) == [str(index) for index in range(1, 12)]
    assert content["categories"]["11"] == {"name": "dog"}
    assert content["categories"]["2"] == {"merge_into": 11}
    assert content["categories"]["5"] == {"name": ""}
    before = path.read_bytes()
    assert complete_category_names(path, 11, "abc") == []
    assert path.read_bytes() == before
    assert read_category_names(path, 11, "abc").kept[2] == 11


def test_names_of_another_clustering_are_refused(written, tmp_path):
    path = written({"1": {"name": "dog"}}, centroids="abc")
    assert read_category_names(path, 3).names == {1: "dog"}
    for read in (read_category_names, complete_category_names):
        with pytest.raises(LussError, match=r"are abc, the run's are abd"):
            read(path, 3, "abd")
    assert digest_of_clustering(tmp_path / "centroids.npz") is None
    (tmp_path / "centroids.npz").write_bytes(b"abc")
    # The first digits of SHA-256 of 'abc', as in FIPS 180-2.
    assert digest_of_clustering(tmp_path / "centroids.npz") == "ba7816bf8f01cfea"


def test_no_names_of_some_categories():
    assert CategoryNames.none(2).num_categories == 2
