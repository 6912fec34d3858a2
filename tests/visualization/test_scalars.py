import math

from luss.visualization.scalars import read_scalars


def test_the_value_written_last_counts_over_all_resumes(tmp_path, scalars):
    first = [{"loss": 10.0 - step, "lr": 0.1, "step": step} for step in range(1, 8)]
    scalars(tmp_path / "20250101_100000", first)
    scalars(
        tmp_path / "20250101_110000",
        [{"loss": 50.0, "step": 5}, {"loss": 60.0, "step": 9}, {"loss": 51.0, "step": 5}],
    )
    found = read_scalars(tmp_path)
    assert found["loss"] == {1: 9, 2: 8, 3: 7, 4: 6, 5: 51, 6: 4, 7: 3, 9: 60}
    assert list(found["loss"]) == [1, 2, 3, 4, 5, 6, 7, 9]
    assert set(found) == {"loss", "lr"}


def test_half_a_line_of_a_killed_run_is_left_out(tmp_path, scalars):
    scalars(tmp_path / "20250101_100000", [{"loss": 1.0, "step": 1}], '{"loss": 0.5, "st')
    assert read_scalars(tmp_path) == {"loss": {1: 1.0}}


def test_what_is_no_finite_number_is_left_out(tmp_path, scalars):
    scalars(
        tmp_path / "20250101_100000",
        [
            {"loss": math.nan, "acc": 1, "step": 1},
            {"loss": math.inf, "note": "text", "flag": True, "step": 2},
            {"loss": 3.0},
            {"loss": 4.0, "step": 3},
        ],
        "[1, 2]\n\x00\x00\n",
    )
    assert read_scalars(tmp_path) == {"loss": {3: 4.0}, "acc": {1: 1.0}}


def test_a_later_nan_hides_an_earlier_number(tmp_path, scalars):
    scalars(tmp_path / "20250101_100000", [{"loss": 2.0, "step": 1}])
    scalars(tmp_path / "20250101_110000", [{"loss": math.nan, "step": 1}])
    assert read_scalars(tmp_path) == {}


def test_a_stage_that_has_not_run_has_no_scalars(tmp_path):
    assert read_scalars(tmp_path / "pretrain") == {}
