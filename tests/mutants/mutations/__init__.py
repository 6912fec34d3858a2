"""All mistakes, room by room."""

from mutations import (
    configs,
    data,
    evaluation,
    label_generation,
    models,
    pipeline,
    prediction,
    sweep,
    training,
)
from mutations.mutation import Mutation

MUTATIONS: list[Mutation] = [
    mutation
    for room in (
        models,
        data,
        training,
        evaluation,
        label_generation,
        pipeline,
        prediction,
        sweep,
        configs,
    )
    for mutation in room.MUTATIONS
]
