"""What the report says of comparisons, published figures and goals: every branch, on rows written out."""

from typing import Any

import pytest

from promise.analysis.verdicts import differences, goal_table, half_shortfalls, published_above, shortfalls

SIGNS = {"worse": (-0.02, -0.03, -0.01), "open": (0.001, -0.002, 0.004), "better": (0.02, 0.01, 0.03)}


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
    assert differences([]) == half_shortfalls([]) == ["Nothing can be said yet."]


def test_guided_wins_everywhere() -> None:
    rows = [compared("plain"), compared("plain", metric="ndcg@10"), compared("better_plain")]
    assert shortfalls(rows, []) == ["Nowhere: in every comparison that was run, guided search is better."]
    assert half_shortfalls([compared("plain", half="above")]) == ["On neither half is any method unbeaten."]
    assert differences(rows) == [
        "| guided − it, R@10 | Amazon Beauty, kept |",
        "|---|---|",
        "| `plain` | **+.0200** |",
        "| better of `plain`, `plain_alone` | **+.0200** |",
        "",
        "| guided − it, N@10 | Amazon Beauty, kept |",
        "|---|---|",
        "| `plain` | **+.0200** |",
        "| better of `plain`, `plain_alone` | – |",
    ]


def test_datasets_and_protocols_are_columns_and_one_seed_is_marked() -> None:
    rows = [compared("plain"), compared("orm", "open", seen="remove"), compared("plain", "worse", dataset="toys")]
    rows += [compared("plain", half="above"), compared("sasrec", seeds=1)]
    lines = differences(rows)
    assert lines[:5] == [
        "| guided − it, R@10 | Amazon Beauty, kept | Amazon Beauty, removed | Toys, kept |",
        "|---|---|---|---|",
        "| `plain` | **+.0200** | – | **−.0200** |",
        "| `orm` | – | +.0010 | – |",
        "| `sasrec` | **+.0200**¹ | – | – |",
    ]
    assert lines[-1] == "¹ One seed."


def test_guided_wins_nowhere() -> None:
    rows = [compared("co_visit", "worse"), compared("orm", "open"), compared("plain")]
    rows += [compared("orm", "open", seen="remove"), compared("orm", "worse", dataset="toys")]
    costs = [measured("guided"), measured("guided", seed=1, flops_per_user=60e6), measured("orm", flops_per_user=3e8)]
    lines = shortfalls(rows, [*costs, measured("orm", half="above", flops_per_user=1.0)])
    place = "| Amazon Beauty | past items kept"
    assert lines[:7] == [
        "- `co_visit`: guided is **worse** on Amazon Beauty kept.",
        "- `orm`: guided is not told apart on Amazon Beauty kept and Amazon Beauty removed; **worse** on Toys kept.",
        "",
        "| data | past items | method | FLOPs per user: it / guided | seeds "
        "| guided − it, R@10 | guided − it, N@10 | guided is |",
        "|---|---|---|---|---|---|---|---|",
        f"{place} | `co_visit` | – / 55 M | 3 | **−.0200 (−.0300 to −.0100)** | – | **worse** |",
        f"{place} | `orm` | 300 M / 55 M | 3 | +.0010 (−.0020 to .0040) | – | not told apart |",
    ]


def test_halves_stand_in_a_table_of_their_own() -> None:
    half = compared("plain", "open", half="below", seen="remove", seeds=1, users=40)
    assert half_shortfalls([compared("orm", "open"), half])[2:] == [
        "| Amazon Beauty | past items removed | below (40) | `plain` | 1 | +.0010 (−.0020 to .0040) | – "
        "| not told apart |"
    ]
    assert len(shortfalls([compared("plain"), half], [])) == 1  # nothing of all users


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([compared("plain", "open"), compared("plain", "worse", metric="ndcg@10")],
         "not told apart in R@10, **worse** in N@10"),
        ([compared("plain", "better", seed_min=-0.001)], "open, for the sign changes between seeds"),
        ([compared("plain", "worse", seed_max=0.001)], "open, for the sign changes between seeds"),
        ([compared("plain", "worse"), compared("plain", "worse", metric="ndcg@10")], "**worse**"),
        ([compared("plain"), compared("plain", "open", metric="ndcg@10")], "better in R@10, not told apart in N@10"),
    ],
)  # fmt: skip
def test_the_verdict_in_words(rows: list[dict[str, Any]], words: str) -> None:
    assert shortfalls(rows, [])[-1].endswith(f"| {words} |")


def test_published_figures_that_are_not_reached() -> None:
    def published(method: str, recall: float | None, ndcg: float | None, seen: str = "keep") -> dict[str, Any]:
        names = {"dataset": "amazon_beauty", "seen": seen, "method": method, "source": "a paper"}
        return names | {"recall@10": recall, "ndcg@10": ndcg}

    rows = [measured("guided"), measured("guided", seed=1, **{"recall@10": 0.09}), measured("plain", seen="remove")]
    rows += [measured("guided", half="above", **{"recall@10": 0.2})]
    elsewhere = [published("A", 0.086, 0.03), published("B", None, 0.041), published("C", 0.085, 0.04)]
    elsewhere += [published("D", 0.01, None), published("E", 0.2, 0.2, "remove")]
    assert published_above(elsewhere, rows)[2:] == [
        "| Amazon Beauty | past items kept | A | .0860 | .0850 | .0300 | .0400 | a paper |",
        "| Amazon Beauty | past items kept | B | – | .0850 | .0410 | .0400 | a paper |",
    ]
    assert published_above(elsewhere[2:4], rows) == []


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
