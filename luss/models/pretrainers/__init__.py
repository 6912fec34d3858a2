from luss.models.pretrainers.pass_pretrainer import PASSPretrainer

__all__ = ["PASSPretrainer"]
