from luss.models.pretrainers.c2am import C2AM
from luss.models.pretrainers.pass_pretrainer import PASSPretrainer
from luss.models.pretrainers.pixel_attention_trainer import PixelAttentionTrainer

__all__ = ["C2AM", "PASSPretrainer", "PixelAttentionTrainer"]
