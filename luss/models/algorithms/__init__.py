from luss.models.algorithms.algorithm_with_objectives import ObjectivesMixin, build_algorithm

__all__ = ["ObjectivesMixin", "build_algorithm"]
