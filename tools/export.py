"""Write the segmentor of a finished run as one ONNX file."""

from luss.commands import run_command

if __name__ == "__main__":
    run_command("export")
