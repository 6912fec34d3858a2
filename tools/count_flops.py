"""Count the parameters and multiply-adds of the models of a config's stages."""

from luss.commands import run_command

if __name__ == "__main__":
    run_command("count-flops")
