"""Create your own project: a copy of the template with a loss, configs and tests."""

from luss.commands import run_command

if __name__ == "__main__":
    run_command("new-project")
