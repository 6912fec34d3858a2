"""Every command in README.md and docs/ is run by a test, or says why it is not; all are parsed.

A comment stands before each block of commands:

    <!-- commands: run -->                            run here, on a few drawn pictures
    <!-- commands: run by tests/tools/test_test.py --> run by these tests, perhaps on other data
    <!-- commands: run by tests/docs/test_commands.py, training shortened -->
                                                      run here with -m slow: as they stand, on drawn
                                                      photos, but every stage trains an epoch
    <!-- commands: not run, needs ImageNet -->         needs what is not there; says what
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_blocks import (
    DOCUMENTS,
    REPOSITORY,
    all_blocks,
    blocks_of,
    unfenced_commands,
    words_of,
)
from PIL import Image
from processes import run_command

from luss.configuration import read_config
from luss.datasets import draw_demo_data
from luss.datasets.mask_codec import IGNORE_ID, read_mask, write_mask
from luss_docs.parsers import parse

BLOCKS = all_blocks()
# README and the quick start share commands.
RUN = list({block.commands: block for block in BLOCKS if block.mark == "run"}.values())
NEEDS = re.compile(r"not run, (needs|takes) \w+")
SHELL = ("source", "export", "mkdir", "cd", "cp")
OTHERS = ("mim", "tensorboard", "pre-commit")
"""Programs of others, whose arguments are theirs."""


LUSS = 'luss() { python -m luss "$@"; }'
"""The console command, also where luss is not installed but on the path."""


def test_there_are_commands():
    assert len(BLOCKS) >= 30
    assert len(RUN) >= 3


@pytest.mark.parametrize(
    "path", DOCUMENTS, ids=lambda path: path.relative_to(REPOSITORY).as_posix()
)
def test_commands_stand_in_fenced_blocks(path):
    found = unfenced_commands(path.read_text(encoding="utf-8"))
    assert not found, "put these into a ```bash block with a comment before it, see this file's top"


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_block_says_who_runs_it(block):
    hint = f"{block}: put <!-- commands: ... --> before the block, see the top of this file"
    assert block.mark is not None, hint
    assert block.mark == "run" or block.mark.startswith("run by ") or NEEDS.match(block.mark), hint
    for name in re.findall(r"(?:\.ci|tests|projects)/[\w/.]+\w", block.mark):
        assert (REPOSITORY / name).exists(), f"{block}: there is no {name}"


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_its_arguments_are_ones_that_the_tool_takes(block):
    for command in block.commands:
        for words in words_of(command):
            check(words, str(block))


def check(words: list[str], where: str) -> None:
    """Refuse a command that could not work."""
    program, *arguments = words
    if program == "make":
        targets = set(re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(), re.M))
        assert set(arguments) <= targets, f"{where}: the Makefile has no target {arguments}"
    elif program == "pip":
        for extra in re.findall(r"\[(.*?)\]", " ".join(arguments)):
            known = re.findall(r'^ {8}"(\w+)": ', (REPOSITORY / "setup.py").read_text(), re.M)
            assert set(extra.split(",")) <= set(known), f"{where}: setup.py has no extra {extra}"
    elif program.endswith(".sh"):
        check_shell_script(program, arguments, where)
    elif program in ("python", "luss"):
        check_python(program, arguments, where)
    else:
        assert program in (*SHELL, *OTHERS), f"{where}: what is {program}? Add it to this test"


def check_shell_script(script: str, arguments: list[str], where: str) -> None:
    """The arguments behind the script's own are those of the Python file it starts."""
    text = (REPOSITORY / script).read_text()
    own = [name.lower() for name in re.findall(r"^([A-Z_]+)=\$\d$", text, re.M)]
    assert len(arguments) >= len(own), f"{where}: {script} takes {', '.join(own)}"
    given = dict(zip(own, arguments, strict=False))
    tool = re.search(r"/(\w+\.py)", text[text.index("exec ") :])[1]
    work_dir = ["--work-dir", given["work_dir"]] if "work_dir" in given else []
    rest = [given["config"], *work_dir, *arguments[len(own) :]]
    check_python("python", [f"tools/{tool}", *rest], where)


def check_python(program: str, arguments: list[str], where: str) -> None:
    """Let the tool's own parser read the arguments, and the config the options."""
    if program == "python" and arguments[0] == "-m":
        if arguments[1] != "luss":
            return
        arguments = arguments[2:]
    elif program == "python":
        script, *arguments = arguments
        if "-h" in arguments or "--help" in arguments:
            assert (REPOSITORY / script).is_file(), where
            return
        check_run(parsed(script, arguments, where), where)
        return
    check_run(parsed("luss/__main__.py", arguments, where), where)


def parsed(script: str, arguments: list[str], where: str):
    """What the tool's parser makes of the arguments."""
    try:
        return parse(script, arguments)
    except (SystemExit, RuntimeError) as error:
        raise AssertionError(f"{where}: {script} does not take {arguments}") from error


def check_run(args, where: str) -> None:
    """Configs are there, and options of runs are settings that they have."""
    configs = getattr(args, "configs", None) or [getattr(args, "config", None)]
    for name in configs:
        if name is None or not name.startswith("configs/"):
            continue
        assert (REPOSITORY / name).is_file(), f"{where}: there is no {name}"
        options = getattr(args, "cfg_options", None) or {}
        if "backbone.weights" in options:
            # Reading a config requires this file.
            options = {**options, "backbone.weights": __file__}
        read_config(REPOSITORY / name, options if isinstance(options, dict) else None)


# Running


FEW = {"train": 6, "train_semi": 1, "validation": 2, "test": 1, "size": 48}
"""Pictures of each category of the demo data; enough for a batch of training."""


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder with what the documents call DATA, PHOTOS and PREDICTIONS."""
    folder = tmp_path_factory.mktemp("documents")
    draw_demo_data(folder / "DATA", **FEW)
    for path in (folder / "DATA" / "validation-segmentation").rglob("*.png"):
        predicted = read_mask(path)
        predicted[predicted == IGNORE_ID] = 0
        name = path.relative_to(folder / "DATA" / "validation-segmentation")
        write_mask(folder / "PREDICTIONS" / name, predicted)
    (folder / "PHOTOS").mkdir()
    for path in (folder / "DATA" / "train").rglob("*.*"):
        shutil.copy(path, folder / "PHOTOS")
    for name in ("configs", "tools", "benchmarks"):
        (folder / name).symlink_to(REPOSITORY / name)
    copy_as_voc(folder / "DATA", folder / "VOC")
    return folder


def copy_as_voc(root, folder):
    """The demo data in VOC's layout."""
    lists = folder / "ImageSets" / "Segmentation"
    for part in (lists, folder / "JPEGImages", folder / "SegmentationClass"):
        part.mkdir(parents=True)
    for name, split in (("train", "train"), ("val", "validation")):
        photos = sorted((root / split).rglob("*.JPEG"))
        for photo in photos:
            shutil.copy(photo, folder / "JPEGImages" / f"{photo.stem}.jpg")
            mask = root / f"{split}-segmentation" / photo.parent.name / f"{photo.stem}.png"
            if mask.exists():
                ids = read_mask(mask)
                ids[ids == IGNORE_ID] = 255
                Image.fromarray(ids.astype("uint8")).save(folder / "SegmentationClass" / mask.name)
        (lists / f"{name}.txt").write_text("\n".join(photo.stem for photo in photos))


@pytest.mark.parametrize("block", RUN, ids=str)
def test_it_runs(block, pictures, tmp_path):
    for path in pictures.iterdir():
        (tmp_path / path.name).symlink_to(path)
    for command in block.commands:
        run(command, tmp_path, str(block))


RUN_OF_CONFIG = "work_dirs/mine/config.py"
ON_RUNS = [c for block in BLOCKS for c in block.commands if RUN_OF_CONFIG in c.split()]
RUN_HERE = {
    command: block.document
    for block in BLOCKS
    if block.mark.startswith("run by tests/docs/test_commands.py")
    for command in block.commands
    if command not in ON_RUNS
}
"""Command -> the document that has it."""


def shortened(command):
    """The same command; a training has an epoch a stage, and few demo pictures."""
    (words,) = words_of(command)
    if words[1] not in ("tools/train.py", "tools/sweep.py"):
        return command
    options = {"num_workers": 0}
    for name in words:
        if name.startswith("configs/"):
            config = read_config(REPOSITORY / name)
            stages = [name for name, stage in config.stages.items() if "train_cfg" in stage]
            options |= {f"stages.{name}.train_cfg.max_epochs": 1 for name in stages}
            if config.get("data", {}).get("type") == "demo":
                options |= {f"data.{key}": number for key, number in FEW.items()}
    return " ".join([command, "--cfg-options", *(f"{k}={v}" for k, v in options.items())])


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [command for command in RUN_HERE if RUN_HERE[command] != "docs/own_photos.md"],
    ids=lambda command: RUN_HERE[command],
)
def test_it_runs_with_a_short_training(command, pictures, tmp_path):
    for path in pictures.iterdir():
        (tmp_path / path.name).symlink_to(path)
    layout = "VOC" if RUN_HERE[command] == "docs/data_sets.md" else "DATA"
    (tmp_path / "DIR").symlink_to(pictures / layout)
    run(shortened(command), tmp_path, RUN_HERE[command])


def test_commands_on_a_run_read_the_settings_that_it_was_trained_with():
    """A config of configs/ lacks the options of training, so that it belongs to another run."""
    for block in BLOCKS:
        for command in block.commands:
            words = command.split()
            if "work_dirs/mine" in words and "tools/train.py" not in words:
                assert RUN_OF_CONFIG in words, f"{block}: {command}"


@pytest.mark.slow
def test_commands_on_a_run_of_a_documented_config(tmp_path):
    """Training is that of docs/own_photos.md, shortened; all else is run as it stands."""
    for name in ("configs", "tools"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    # With masks, which the analysis reads; enough for a batch.
    draw_demo_data(tmp_path / "PHOTOS", train=6, train_semi=1, validation=2, test=1, size=64)
    (train,) = [
        command
        for command, document in RUN_HERE.items()
        if document == "docs/own_photos.md" and "tools/train.py" in command.split()
    ]
    run(shortened(train), tmp_path, "docs/own_photos.md")
    (checkpoint,) = tmp_path.glob("work_dirs/mine/finetune/iter_*.pth")
    (tmp_path / "CHECKPOINT").symlink_to(checkpoint)
    assert len(ON_RUNS) >= 2
    for command in dict.fromkeys(ON_RUNS):
        run(command, tmp_path, "on a run")
    assert (tmp_path / "work_dirs" / "mine" / "foreground_analysis" / "analysis.json").is_file()


def run(command: str, folder: Path, where: str) -> None:
    """Run a command in a folder, as a reader types it."""
    if not set(command) & set("|<>$*;&{}="):
        # Nothing that a shell would read: Python has been started already.
        program, *words = shlex.split(command)
        if program in ("python", "luss"):
            words = words if program == "python" else ["-m", "luss", *words]
            done = run_command(*words, folder=folder)
            assert done.returncode == 0, f"{where}: {command}\n{done.stdout}{done.stderr}"
            return
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{LUSS}\n{command}"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{where}: {command}\n{done.stdout}{done.stderr}"


# The collector itself


def test_a_mark_belongs_to_the_block_behind_it():
    text = "<!-- commands: run -->\n```bash\nls \\\n    a\n# b\n```\n\nmore\n\n```sh\nluss x\n```\n"
    first, second = blocks_of(text, "page")
    assert (first.mark, first.commands) == ("run", ("ls a",))
    assert (second.mark, second.commands, second.line) == (None, ("luss x",), 11)
    assert blocks_of("```python\nluss x\n```\n", "page") == []
    assert unfenced_commands("```\n    python a\n```\n\n    python b\n    c = 1\n") == ["python b"]
    assert words_of("A=1 python x.py && make y  # z") == [["python", "x.py"], ["make", "y"]]


@pytest.mark.parametrize(
    "command",
    [
        "make nothing",
        'pip install ".[nothing]"',
        "frobnicate",
        "python tools/train.py configs/pass/nothing.py",
        "python tools/train.py configs/pass/pass_s_in50.py --nothing",
        "tools/dist_train.sh configs/pass/pass_s_in50.py",
        "luss nothing",
    ],
)
def test_commands_that_cannot_work_are_found(command, capsys):
    with pytest.raises(AssertionError):
        check(words_of(command)[0], "here")
