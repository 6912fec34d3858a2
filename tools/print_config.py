"""Print the whole runner configuration of stages of a config."""

from luss.commands import run_command

if __name__ == "__main__":
    run_command("print-config")
