from luss.models.pretrainers.pass_pretrainer import PASSPretrainer
from luss.models.pretrainers.pixel_attention_trainer import PixelAttentionTrainer

__all__ = ["PASSPretrainer", "PixelAttentionTrainer"]
