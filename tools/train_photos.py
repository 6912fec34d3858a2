"""Find categories in a folder of photos, without labels, and segment all of them."""

from luss.commands import run_command

if __name__ == "__main__":
    run_command("train")
