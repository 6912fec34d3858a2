"""Write the features of a pretrained backbone for a folder of photos."""

from luss.commands import run_command

if __name__ == "__main__":
    run_command("features")
