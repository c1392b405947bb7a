"""What a sweep shows, in sentences: which way, how much, with its interval."""

import pytest

from promise.analysis.results import results_table
from promise.analysis.sentences import best_sentence, finding_sentence, state_sentence, trial_sentence


def finding(difference: float, low: float | None, high: float | None) -> dict:
    text = "recall@10: guided W=20 C=80 − plain W=20"
    return {"text": text, "difference": difference, "low": low, "high": high}


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            finding(0.0111, 0.0088, 0.0134),
            "Recall@10 of guided W=20 C=80 is 0.0111 above that of plain W=20 (95 % interval +0.0088 to +0.0134, "
            "paired over users).",
        ),
        (
            finding(-0.02, -0.03, -0.01),
            "Recall@10 of guided W=20 C=80 is 0.0200 below that of plain W=20 (95 % interval -0.0300 to -0.0100, "
            "paired over users).",
        ),
        (
            finding(0.001, -0.001, 0.003),
            "Recall@10 of guided W=20 C=80 and of plain W=20 are not told apart: +0.0010 (95 % interval -0.0010 to "
            "+0.0030, paired over users).",
        ),
        (finding(0.1, None, None), None),
        ({"text": "accuracy at level 1", "difference": 0.1, "low": 0.0, "high": 0.2}, None),
    ],
)
def test_finding(found: dict, sentence: str | None) -> None:
    assert finding_sentence([found]) == sentence
    assert finding_sentence([finding(0.1, None, None), found]) == sentence


def test_best(sweep, row) -> None:
    assert best_sentence(results_table(sweep)) == (
        "The highest Recall@10 is 0.0721 (95 % interval 0.0691 to 0.0751), by exhaustive, λ = 1, at 11 MFLOP per user; "
        "being the highest of several, it is somewhat flattered."
    )
    assert best_sentence(results_table(sweep[3:-2])).startswith(
        "The highest Recall@10 is 0.0700 (95 % interval 0.0670 to 0.0730), by guided, W = 20, C = 200, at 88.3 MFLOP"
    )
    assert ", by plain beam, W = 50, at 196 MFLOP" in best_sentence(results_table(sweep[:3]))
    many = [row("guided", i / 1e3, 5e7, width=i, candidates=7 * i, weight=i / 20) for i in range(10, 20)]
    assert ", by guided, W = 19, C = 133, λ = 0.95, at 50 MFLOP" in best_sentence(results_table(many))
    bare = [{"search": "plain", "search.width": 10, "recall@10": 0.1, "flops_per_user": None}]
    assert best_sentence(results_table(bare)).startswith("The highest Recall@10 is 0.1000, by plain beam, W = 10; ")
    assert best_sentence(results_table([row("plain", None, 1e8, width=5)])) == "No finished point has recall@10."


def test_trial(row) -> None:
    one = row("guided", 0.1, 5e7, width=[20, 10], candidates=80, weight=0.6) | {"trial": 3}
    assert trial_sentence(one, "The knee of the front") == (
        "The knee of the front is number 3: Recall@10 0.1000 (95 % interval 0.0970 to 0.1030), at 50 MFLOP per user, "
        "by guided, W = [20, 10], C = 80, λ = 0.6."
    )
    narrow = row("plain", None, 5e7, width=5) | {"trial": 3}
    assert (
        trial_sentence(narrow, "The best trial") == "The best trial is number 3, at 50 MFLOP per user, by plain, W = 5."
    )


def test_state(sweep) -> None:
    metric = "the metric of the charts is Recall@10 (share of users)."
    assert state_sentence(results_table(sweep)) == f"13 points; {metric}"
    rows = [sweep[0] | {"status": status} for status in ("failed", "pruned", "pruned")]
    assert state_sentence(results_table(rows)) == f"3 points, 1 failed, 2 given up early; {metric}"
    assert state_sentence(results_table(rows[:1])) == f"1 point, 1 failed; {metric}"
