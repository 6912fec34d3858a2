"""Every golden file is read by a test, or said not to be."""

from pathlib import Path

NOT_READ = {
    "README.md": "for people",
    "pixpro.npz": "of PASS_p, which is not there yet",
    "pretrain_step_weight_shapes.json": "the weights themselves are read",
}


def test_every_golden_file_is_read(golden_path):
    folder = golden_path(".")
    texts = [path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py")
             if path != Path(__file__)]  # fmt: skip
    unread = {
        path.name
        for path in folder.iterdir()
        if not any(f'"{path.name}"' in text for text in texts)
    }
    # A folder may lack files.
    assert unread == NOT_READ.keys() & {path.name for path in folder.iterdir()}
