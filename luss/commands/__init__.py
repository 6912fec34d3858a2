"""The commands of ``luss``: one module each, imported when its command is called.

A command's module has ``DESCRIPTION``, ``add_arguments(parser)`` and ``run(args)``, and imports
what takes time within ``run``.
"""
