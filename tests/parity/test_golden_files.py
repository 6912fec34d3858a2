"""Every golden file is read by a test, or said not to be."""

from pathlib import Path

NOT_READ = {
    "pretrain_step_weight_shapes.json": "the weights themselves are read",
}


def test_every_golden_file_is_read(golden_path):
    names = {path.name for path in golden_path(".").iterdir()} - {"README.md"}
    tests = [
        path for path in Path(__file__).parents[1].rglob("test_*.py") if path != Path(__file__)
    ]
    text = "\n".join(path.read_text() for path in tests)
    # A folder may lack files.
    assert {name for name in names if f'"{name}"' not in text} == NOT_READ.keys() & names
