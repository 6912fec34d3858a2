"""List pretrained backbones, those that a file fits, or the settings of one."""

from luss.commands import run_command

if __name__ == "__main__":
    run_command("backbones")
