"""The command that shows runs side by side."""

from tiny_run import finish, start


def test_runs_and_stages_are_shown_side_by_side(finished_run, tmp_path):
    runs = finished_run, finished_run / "evaluate"
    code, said = finish(start("compare_runs.py", *runs, "--out", tmp_path / "page"))
    assert code == 0, said
    assert (tmp_path / "page" / "index.html").read_text().count("Evaluate for") == 6
    code, said = finish(start("compare_runs.py", *runs, "--out", tmp_path / "page", "--names", "a"))
    assert code == 2
    assert "--names" in said
