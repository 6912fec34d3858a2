"""Print the whole runner configuration of stages, without running them."""

from luss.commands import run_command

if __name__ == "__main__":
    run_command("print-config")
