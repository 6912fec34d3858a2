"""A run prints nothing to standard error that its user cannot act on."""

import subprocess
import sys
import textwrap
import warnings

import pytest
from processes import run_command
from tiny_run import TINY

from luss.command_line import hide_library_warnings

# Workers that collect garbage at once, and a main process that never does by itself: what a stage
# leaves behind is then still there when the next stage forks, as in long runs by chance.
PROGRAM = textwrap.dedent(
    """
    import gc, sys
    from luss.command_line import exit_cleanly
    from luss.configuration import read_config
    from luss.pipeline import Pipeline
    from luss.registry import TRANSFORMS

    @TRANSFORMS.register_module()
    class CollectGarbage:
        def __call__(self, results):
            gc.collect()
            return results

    def collect_in_workers(settings):
        for value in list(settings.values()):
            if isinstance(value, dict):
                collect_in_workers(value)
        if isinstance(settings.get("pipeline"), list):
            settings["pipeline"].insert(0, {"type": "CollectGarbage"})

    with exit_cleanly():
        options = {"num_workers": 1, "num_categories": 1}
        config = read_config(sys.argv[1], options)
        collect_in_workers(config.stages)
        gc.disable()
        Pipeline(config, sys.argv[2]).run()
    """
)


def test_a_whole_run_leaves_standard_error_empty(tmp_path):
    done = run_command("-c", PROGRAM, TINY, tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert (tmp_path / "report" / "index.html").is_file()
    # Each epoch saves a checkpoint, which only the file of the log tells.
    assert "stage 1 of 6, pretrain" in done.stdout and "saved" not in done.stdout
    assert f"saved {tmp_path / 'pretrain' / 'iter_12.pth'}" in (tmp_path / "run.log").read_text()


def test_warnings_of_libraries_that_nobody_can_act_on():
    heads = pytest.importorskip("mmseg.models.decode_heads")
    from matplotlib.figure import Figure

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", UserWarning)
        hide_library_warnings()
        loss = {"type": "CrossEntropyLoss", "avg_non_ignore": True}
        heads.FCNHead(in_channels=2, channels=2, num_classes=2, loss_decode=loss)
        figure = Figure()
        figure.suptitle("写真")
        figure.canvas.draw()
        warnings.warn("of one's own", UserWarning, stacklevel=1)
    assert [str(warning.message) for warning in seen] == ["of one's own"]


def test_opencv_does_not_repeat_what_the_error_says(tmp_path):
    cut = tmp_path / "cut.png"
    code = textwrap.dedent(
        f"""
        import numpy as np
        from luss.command_line import exit_cleanly
        with exit_cleanly():
            from luss.datasets.mask_codec import read_mask, write_mask
            write_mask({str(cut)!r}, np.arange(10000).reshape(100, 100) % 900)
            content = open({str(cut)!r}, "rb").read()
            open({str(cut)!r}, "wb").write(content[:-100])
            read_mask({str(cut)!r})
        """
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert str(cut) in line
