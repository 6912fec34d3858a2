"""Planning of ``luss train`` and ``luss check``: survey of the photos, settings, schedule."""
