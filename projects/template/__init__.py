"""The components of this project; configs name them after ``custom_imports``."""

from template.loss import TemplateLoss, alignment_loss

__all__ = ["TemplateLoss", "alignment_loss"]
