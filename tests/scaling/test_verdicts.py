"""What the report says of comparisons and goals: every branch of every sentence, on rows written out."""

from typing import Any

import pytest

from promise.scaling.verdicts import goal_table, shortfalls, wins

SIGNS = {"worse": (-0.02, -0.03, -0.01), "open": (0.001, -0.002, 0.004), "better": (0.02, 0.01, 0.03)}
PLACE = "Amazon Beauty, past items kept, all users (100), 3 seeds"


def compared(against: str, kind: str = "better", **values: Any) -> dict[str, Any]:
    difference, low, high = SIGNS[kind]
    seeds = {"seed_min": difference, "seed_max": difference}
    base = {"dataset": "amazon_beauty", "seen": "keep", "half": "all", "split": "test", "metric": "recall@10"}
    base |= {"method": "guided", "against": against, "difference": difference, "low": low, "high": high}
    return base | seeds | {"seeds": 3, "users": 100} | values


def measured(method: str, **values: Any) -> dict[str, Any]:
    base = {"dataset": "amazon_beauty", "seen": "keep", "half": "all", "split": "test", "seed": 0, "method": method}
    return base | {"recall@10": 0.08, "ndcg@10": 0.04, "flops_per_user": 50e6} | values


def test_nothing_was_compared() -> None:
    assert shortfalls([], []) == ["Nothing can be said yet: no comparison on test targets has been run."]
    assert wins([]) == ["Nothing can be said yet."]


def test_guided_wins_everywhere() -> None:
    rows = [compared("plain"), compared("plain", metric="ndcg@10"), compared("better_plain")]
    assert shortfalls(rows, []) == ["Nowhere: in every comparison that was run, guided search is better."]
    assert wins(rows) == [
        f"- {PLACE}: guided is better than `plain` in R@10 +.0200 (.0100 to .0300) and N@10 +.0200 (.0100 to .0300); "
        "the better of `plain` and `plain_alone` in R@10 +.0200 (.0100 to .0300)."
    ]


def test_guided_wins_nowhere() -> None:
    rows = [compared("co_visit", "worse"), compared("orm", "open")]
    assert wins(rows) == ["Nothing: in no comparison that was run is guided search better."]
    assert shortfalls(rows, []) == [
        f"- {PLACE}: guided is **worse** than `co_visit` in R@10 −.0200 (−.0300 to −.0100). "
        "guided cannot be told apart from `orm` in R@10 +.0010 (−.0020 to .0040)."
    ]


def test_seeds_that_disagree_are_no_claim_either_way() -> None:
    rows = [compared("plain", "better", seed_min=-0.001), compared("sasrec", "worse", seed_max=0.001)]
    assert wins(rows) == ["Nothing: in no comparison that was run is guided search better."]
    assert shortfalls(rows, []) == [
        f"- {PLACE}: guided has no claim against `plain` in R@10 +.0200 (.0100 to .0300); "
        "`sasrec` in R@10 −.0200 (−.0300 to −.0100), for the sign changes between seeds."
    ]


def test_what_is_cheaper_and_not_beaten_is_named() -> None:
    rows = [measured("guided"), measured("guided", seed=1, flops_per_user=60e6)]
    rows += [measured("exhaustive", flops_per_user=12e6), measured("popularity", flops_per_user=0.0)]
    rows += [measured("plain", flops_per_user=40e6), measured("orm", flops_per_user=300e6)]
    told = [compared("exhaustive", "open"), compared("popularity", "open"), compared("plain"), compared("orm", "open")]
    line = shortfalls(told, rows)[0]
    assert line.endswith(" Not beaten, and with fewer FLOPs per user: `exhaustive` (12 M against 55 M).")
    half = [compared("exhaustive", "open", half="above")]
    assert "fewer FLOPs" not in shortfalls(half, rows)[0]


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"seen": "remove"}, "Amazon Beauty, past items removed, all users (100), 3 seeds"),
        ({"seeds": 1}, "Amazon Beauty, past items kept, all users (100), 1 seed"),
        ({"half": "above"}, "users whose target has a higher product number than their last item (100), 3 seeds"),
        ({"half": "below"}, "users whose target has a lower product number than their last item (100), 3 seeds"),
    ],
)
def test_users_and_seeds_are_told(values: dict[str, Any], place: str) -> None:
    assert f"{place}: guided is better" in wins([compared("plain", **values)])[0]
    both = [compared("plain"), compared("plain", **values)]
    assert len(wins(both)) == (1 if "seeds" in values else 2)
    if "seeds" in values:
        assert "1–3 seeds" in wins(both)[0]


def test_goals() -> None:
    def goal(method: str, recall: float, ndcg: float, seen: str = "keep") -> dict[str, Any]:
        names = {"dataset": "amazon_beauty", "seen": seen, "method": method, "kind": "must"}
        return names | {"recall@10": recall, "ndcg@10": ndcg}

    rows = [measured("guided"), measured("guided", seed=1, **{"recall@10": 0.09})]
    rows += [measured("plain", half="above"), measured("sasrec", **{"ndcg@10": None})]
    goals = [
        goal("guided", 0.085, 0.04),
        goal("guided", 0.0851, 0.04),
        goal("guided", 0.01, 0.041),
        goal("guided", 0.01, 0.01, "remove"),
        goal("plain", 0.01, 0.01),
        goal("sasrec", 0.01, 0.01),
    ]
    lines = goal_table(goals, rows)[2:]
    assert [line.split(" | ")[-1] for line in lines] == [
        "met |", "missed |", "missed |", "not run |", "not run |", "not run |"
    ]  # fmt: skip
    assert lines[0] == (
        "| Amazon Beauty | past items kept | `guided` | must | .0850 | .0850 | .0400 | .0400 | 2 | met |"
    )
    assert lines[3] == "| Amazon Beauty | past items removed | `guided` | must | .0100 | – | .0100 | – |  | not run |"
