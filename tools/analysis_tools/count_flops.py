"""Count parameters and multiply-adds of the models of a config."""

from luss.commands import run_command

if __name__ == "__main__":
    run_command("count-flops")
