"""Refiners: components that move the edges of predicted maps to those of the photo."""

from luss.models.refiners.ids import refine_ids
from luss.models.refiners.pamr import PAMR, adaptive_means

__all__ = ["PAMR", "adaptive_means", "refine_ids"]
