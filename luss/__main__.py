"""``python -m luss COMMAND ...`` is ``luss COMMAND ...``, wherever luss is installed."""

from luss.commands import main

if __name__ == "__main__":
    main()
