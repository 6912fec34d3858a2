"""Combinations of foreground sources that no config of luss uses."""

from foreground_sources.sources import MeanOfMaps, Normalised, ProductOfRanks

__all__ = ["MeanOfMaps", "Normalised", "ProductOfRanks"]
