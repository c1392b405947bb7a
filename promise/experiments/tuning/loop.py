"""Runs a study to its end: asks for trials, has them launched, on growing subsets of users where it prunes."""

from collections.abc import Callable, Sequence
from typing import Any

from promise.experiments.tuning.study import Asked, Study

#: Runs trials, each with its overrides: a row, or what was raised, for each.
Launch = Callable[[Sequence[tuple[Asked, list[str]]]], Sequence[dict[str, Any] | Exception]]


def run_study(
    study: Study,
    launch: Launch,
    users: int,
    error_text: Callable[[Exception], str],
    told: Callable[[int], None] = lambda count: None,
) -> int:
    """Run what is left of a study, beside other workers.

    Args:
        study: A study that has begun.
        launch: Runs trials.
        users: Users of a whole trial.
        error_text: What the row of a failed trial says of its error.
        told: Called with the number of trials that were just told.

    Returns:
        Trials that this worker ran.
    """
    count = 0
    while batch := study.ask(study.settings.parallel):
        alive = batch
        for share in study.settings.subsets:
            subset = [] if share == 1 else [f"evaluation.users={max(1, round(users * share))}"]
            outcomes = launch([(asked, [*asked.words, *subset]) for asked in alive])
            still = []
            for asked, outcome in zip(alive, outcomes, strict=True):
                if isinstance(outcome, Exception):
                    study.fail(asked, error_text(outcome))
                elif study.tell(asked, outcome, share):
                    still.append(asked)
            alive = still
            if not alive:
                break
        count += len(batch)
        told(len(batch))
    return count
