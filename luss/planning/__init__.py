"""What ``luss train`` and ``luss check`` find out before a run: the photos, settings, schedule."""
