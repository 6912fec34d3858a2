"""``results.json``: protocols beside each other, and what is not defined."""

import json
import math

import pytest

from luss.evaluation.results import (
    metric_table,
    tables_as_text,
    tables_of_variants,
    write_results,
)
from luss.files import read_json

RUN = {"seed": 3, "config_hash": "abc"}


def test_metrics_of_a_test_become_tables():
    found = tables_of_variants(
        {
            "validation": {"mIoU": 1.5, "S": math.nan, "pixel_overlap/mIoU": 2.0},
            "test": {},
        },
        "fully_unsupervised",
    )
    assert found == {
        "fully_unsupervised": {"val": {"mIoU": 1.5, "S": None}},
        "fully_unsupervised_pixel_overlap": {"val": {"mIoU": 2.0}},
    }


def test_facts_of_the_main_protocol_are_those_of_the_run(tmp_path):
    path = tmp_path / "results.json"
    write_results(path, {"mine": {"val": {"mIoU": 1.0}}}, {"data_root": "a"}, RUN)
    tables = {"fully_unsupervised": {"val": {"mIoU": 2.0}}, "fully_unsupervised_x": {}}
    write_results(path, tables, {"data_root": "b"}, {**RUN, "seed": 4})
    content = read_json(path)
    assert list(content) == ["mine", *tables, "provenance"]
    assert content["fully_unsupervised"] == {"val": {"mIoU": 2.0}}
    provenance = content["provenance"]
    assert provenance["mine"] == {**RUN, "data_root": "a"}
    assert (provenance["seed"], provenance["data_root"], provenance["processes"]) == (4, "b", 1)
    assert {"luss", "torch", "faiss"} <= provenance["versions"].keys()


@pytest.mark.parametrize("damage", ['{"cut', '{"fully_unsupervised": 3}'])
def test_a_damaged_file_is_set_aside(tmp_path, damage):
    path = tmp_path / "results.json"
    path.write_text(damage)
    write_results(path, {"mine": {"val": {"mIoU": 1.0}}}, {}, RUN)
    assert json.loads(path.read_text())["mine"] == {"val": {"mIoU": 1.0}}
    assert (tmp_path / "results.json.damaged").read_text() == damage


def test_a_variant_of_the_same_numbers_is_said_in_a_line():
    numbers = {"val": {"mIoU": 12.34}}
    tables = {"mine": numbers, "mine_a": dict(numbers), "mine_b": {"val": {"mIoU": 56.78}}}
    own, same, other = tables_as_text(tables)
    assert own == f"mine\n{metric_table(numbers)}"
    assert same == "mine_a: the same numbers as mine"
    assert other == f"mine_b\n{metric_table(tables['mine_b'])}"


def test_a_table_as_text():
    lines = metric_table({"val": {"mIoU": 12.346, "S": None}, "test": {"mIoU": 6.0}}).split("\n")
    assert [line.split() for line in lines] == [
        ["%", "val", "test"],
        ["mIoU", "12.35", "6.00"],
        ["S", "-", "-"],
    ]
