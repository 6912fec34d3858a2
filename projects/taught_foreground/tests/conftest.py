"""Registers the components."""

import taught_foreground  # noqa: F401 -- registers the components
