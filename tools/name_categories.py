"""Write a page with photos of each discovered category, and names.json to fill in."""

from luss.commands import run_command

if __name__ == "__main__":
    run_command("name-categories")
