"""Look through a folder of photos: what is in it, what is wrong, what train would do."""

from luss.commands import run_command

if __name__ == "__main__":
    run_command("check")
