"""What a sweep shows, in sentences: which way, how much, with its interval."""

from promise.analysis.report.sentences import best_sentence, finding_sentence, state_sentence, trial_sentence
from promise.analysis.results import results_table


def test_finding() -> None:
    without = {"text": "accuracy at level 1", "difference": 0.1, "low": None, "high": None}
    found = {"text": "recall@10: guided − plain", "difference": 0.001, "low": -0.001, "high": 0.003}
    assert str(finding_sentence([without, found])).endswith("paired over users), not told apart.")
    assert finding_sentence([without]) is None


def test_the_best_point_and_a_trial(sweep, row) -> None:
    best = best_sentence(results_table(sweep))
    assert "0.0721 (95 % interval 0.0691 to 0.0751), at 11 MFLOP per user, by exhaustive" in best
    assert "by plain, W = 50" in best_sentence(results_table(sweep[:3]))
    assert best_sentence(results_table([row("plain", None, 1e8, width=5)])) == "No finished point has recall@10."
    trial = row("guided", 0.1, 5e7, width=[20, 10], candidates=80, weight=0.6) | {"trial": 3}
    assert trial_sentence(trial, "The best").endswith("at 50 MFLOP per user, by guided, W = [20, 10], C = 80, λ = 0.6.")
    assert trial_sentence(row("plain", None, 5e7, width=5) | {"trial": 3}, "It") == (
        "It is number 3: at 50 MFLOP per user, by plain, W = 5."
    )


def test_state(sweep) -> None:
    assert state_sentence(results_table(sweep)).startswith("13 points; ")
    rows = [sweep[0] | {"status": status} for status in ("failed", "pruned", "pruned")]
    assert state_sentence(results_table(rows)).startswith("3 points, 1 failed, 2 given up early; ")
