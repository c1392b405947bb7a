"""Points that differ in their search alone share a pipeline; others have their own."""

from collections.abc import Callable
from typing import Any

from promise.experiments.point_outcome import Pipelines


def test_pipelines(pipeline_of: Callable[..., Any]) -> None:
    pipelines = Pipelines()
    one, same, users, other = (
        pipeline_of(*words).cfg
        for words in ((), ("search=plain", "search.width=3"), ("evaluation.users=9", "split=test"), ("seed=1",))
    )
    first = pipelines.of(one)
    networks = first.networks
    assert pipelines.of(same) is first and first.cfg is same and first.networks is networks
    assert pipelines.of(users) is first
    second = pipelines.of(other)
    assert second is not first and second.cfg is other
    assert pipelines.of(one) is not first  # only the last one is kept
