"""The commands of ``luss``: one module each, imported when its command is called.

A command's module has ``DESCRIPTION``, ``add_arguments(parser)`` and ``run(args)``; slow imports
belong in ``run``. To add a command, write a module here, add a line to ``GROUPS``, and a script in
``tools/`` that calls :func:`run_command`.
"""

import argparse
import ast
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from luss.command_line import exit_cleanly
from luss.errors import nearest
from luss.version import __version__

__all__ = ["COMMANDS", "GROUPS", "main", "run_command"]

GROUPS: dict[str, dict[str, str]] = {
    "your own photos": {
        "check": "luss.commands.check",
        "train": "luss.commands.train",
        "predict": "luss.commands.predict",
        "name-categories": "luss.commands.name_categories",
        "export": "luss.commands.export",
        "backbones": "luss.commands.backbones",
        "features": "luss.commands.features",
    },
    "inspecting configs and runs": {
        "print-config": "luss.commands.print_config",
    },
    "configs, data sets and projects": {
        "run": "train.py",
        "test": "test.py",
        "evaluate": "evaluate.py",
        "analyze-foreground": "analyze_foreground.py",
        "compare-runs": "compare_runs.py",
        "sweep": "sweep.py",
        "dataset-stats": "dataset_stats.py",
        "prepare-imagenet-s": "prepare_imagenet_s.py",
        "make-submission": "make_submission.py",
        "make-demo-data": "make_demo_data.py",
        "convert-checkpoint": "convert_checkpoint.py",
        "new-project": "luss.commands.new_project",
    },
}
"""Group title in the help -> name of each command -> its module, or its script in ``tools/``."""

COMMANDS: dict[str, str] = {
    name: place for group in GROUPS.values() for name, place in group.items()
}
"""Name of each command -> its module or script."""

_SCRIPTS = Path(__file__).resolve().parents[1] / ".mim" / "tools"


def main() -> None:
    """Run ``luss COMMAND ...``: pass the arguments to the command that the first one names."""
    with exit_cleanly():
        _main()


def _main() -> None:
    name, *arguments = sys.argv[1:] or [""]
    # Scripts in tools/ have underscores.
    command = name.replace("_", "-")
    if command in COMMANDS:
        _run(command, arguments)
    elif name in ("-h", "--help", "help"):
        print(_help())
    elif name == "--version":
        print(f"luss {__version__}")
    else:
        print(_unknown(name) if name else _help(), file=sys.stderr)
        sys.exit(2)


def run_command(name: str, arguments: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Parse a command's arguments and run it; see :func:`exit_cleanly` for errors.

    Args:
        name: of a command that is a module.
        arguments: after the name; by default those of this process.
        prog: program name in the help; by default the script's name.
    """
    with exit_cleanly():
        module = importlib.import_module(COMMANDS[name])
        parser = argparse.ArgumentParser(prog=prog, description=module.DESCRIPTION)
        module.add_arguments(parser)
        module.run(parser.parse_args(arguments))


def _run(name: str, arguments: Sequence[str]) -> None:
    called = f"luss {name}"
    if _is_module(COMMANDS[name]):
        run_command(name, arguments, called)
    else:
        script = _SCRIPTS / COMMANDS[name]
        # Help and errors show the command; runpy would show the script's path.
        sys.argv = [called, *arguments]
        code = compile(script.read_text(encoding="utf-8"), script, "exec")
        exec(code, {"__name__": "__main__", "__file__": str(script)})


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = ["usage: luss COMMAND ..."]
    for title, group in GROUPS.items():
        lines += ["", f"For {title}:"]
        lines += [f"  {name:{width}}  {_summary(place)}" for name, place in group.items()]
    return "\n".join([*lines, "", "Run luss COMMAND --help for the arguments of a command."])


def _summary(place: str) -> str:
    """Return the first sentence of a command's description."""
    if _is_module(place):
        text = importlib.import_module(place).DESCRIPTION
    else:
        source = (_SCRIPTS / place).read_text(encoding="utf-8")
        text = ast.get_docstring(ast.parse(source)) or ""
    first, dot, _ = text.partition("\n")[0].partition(". ")
    return first + dot.strip()


def _is_module(place: str) -> bool:
    return not place.endswith(".py")


def _unknown(name: str) -> str:
    hint = nearest(name.replace("_", "-"), COMMANDS)
    return f"error: luss has no command {name!r}{hint} Run luss --help for the list"
