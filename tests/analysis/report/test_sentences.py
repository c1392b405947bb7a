"""What a sweep shows, in sentences: which way, how much, with its interval."""

from promise.analysis.report.sentences import best_sentence, finding_sentence, point_sentence
from promise.analysis.results import results_table


def test_finding() -> None:
    without = {"text": "accuracy at level 1", "difference": 0.1, "low": None, "high": None}
    found = {"text": "recall@10: guided − plain", "difference": 0.001, "low": -0.001, "high": 0.003}
    assert str(finding_sentence([without, found])).endswith("paired over users), not told apart.")
    assert finding_sentence([without]) is None


def test_the_best_point_and_a_trial(sweep, row) -> None:
    best = best_sentence(results_table(sweep))
    assert "0.0721 (95 % interval 0.0691 to 0.0751), at 11 MFLOP per user, by exhaustive" in best
    assert best_sentence(results_table(sweep).clear()) == "No finished search has recall@10."
    trial = row("guided", 0.1, 5e7, width=[20, 10], candidates=80, weight=0.6)
    assert point_sentence(trial, "It").endswith("at 50 MFLOP per user, by guided, W = [20, 10], C = 80, λ = 0.6.")
    assert point_sentence(row("plain", None, 5e7, width=5), "It") == "It: at 50 MFLOP per user, by plain, W = 5."
