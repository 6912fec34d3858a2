"""Print the whole runner configuration of stages, as it would stand in WORK_DIR/<stage>/config.py."""

from luss.commands import run_command

if __name__ == "__main__":
    run_command("print-config")
