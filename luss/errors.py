"""The error that ``luss`` raises for what a user can mend."""

__all__ = ["LussError"]


class LussError(Exception):
    """Bad input or configuration: says what was found, what was expected, where, what to do.

    The command lines print its message without a traceback and exit with code 2.
    """
