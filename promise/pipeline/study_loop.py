"""Runs a study to its end: asks for trials, has them launched, on growing subsets of users where it prunes."""

from collections.abc import Callable, Sequence
from typing import Any

from promise.pipeline.study import Asked, Study

#: Runs trials, each with its overrides: a row, or what was raised, for each.
Launch = Callable[[Sequence[tuple[Asked, list[str]]]], Sequence[dict[str, Any] | BaseException]]


def run_study(
    study: Study,
    launch: Launch,
    users: int | None,
    failed_row: Callable[[list[str]], dict[str, Any]],
    told: Callable[[int], None] = lambda count: None,
) -> int:
    """Run what is left of a study, beside other workers.

    Args:
        study: A study that has begun.
        launch: Runs trials.
        users: Users of a whole trial; needed where the study prunes.
        failed_row: What the row of a failed trial can say, from its overrides.
        told: Called with the number of trials that were just told.

    Returns:
        Trials that this worker ran.
    """
    count = 0
    while batch := study.ask(study.settings.parallel):
        shares = study.settings.subsets
        alive = list(batch)
        for share in shares:
            subset = [] if users is None or share == 1 else [f"evaluation.users={max(1, round(users * share))}"]
            outcomes = launch([(asked, [*asked.words, *subset]) for asked in alive])
            still = []
            for asked, outcome in zip(alive, outcomes, strict=True):
                if _goes_on(study, asked, outcome, share, failed_row):
                    still.append(asked)
            alive = still
        count += len(batch)
        told(len(batch))
    return count


def _goes_on(
    study: Study,
    asked: Asked,
    outcome: dict[str, Any] | BaseException,
    share: float,
    failed_row: Callable[[list[str]], dict[str, Any]],
) -> bool:
    """Tell what came of a trial on a share of the users; True = it is to be run on more."""
    if isinstance(outcome, BaseException):
        message = " ".join(str(outcome).split())
        study.fail(asked, f"{type(outcome).__name__}: {message}", failed_row(asked.words))
        return False
    try:
        given_up = len(study.settings.subsets) > 1 and study.report(asked, outcome, share)
    except ValueError as error:  # the row has no such figure
        study.fail(asked, f"ValueError: {error}", outcome)
        return False
    if share == 1:
        study.complete(asked, outcome)
    elif given_up:
        study.prune(asked)
    return share < 1 and not given_up
