"""Count parameters, and the multiply-adds of one image through backbone and heads, of the models of a config's stages."""

from luss.commands import run_command

if __name__ == "__main__":
    run_command("count-flops")
