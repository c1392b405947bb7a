"""What the report says of comparisons and goals: every branch of every sentence, on rows written out."""

from typing import Any

import pytest

from promise.scaling.verdicts import goal_table, shortfalls, wins

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
    assert wins([]) == ["Nothing can be said yet."]


def test_guided_wins_everywhere() -> None:
    rows = [compared("plain"), compared("plain", metric="ndcg@10"), compared("better_plain")]
    assert shortfalls(rows, []) == ["Nowhere: in every comparison that was run, guided search is better."]
    assert wins(rows) == [
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


def test_datasets_and_protocols_are_columns() -> None:
    rows = [compared("plain"), compared("orm", "open", seen="remove"), compared("plain", "worse", dataset="toys")]
    rows += [compared("plain", half="above")]
    assert wins(rows)[:4] == [
        "| guided − it, R@10 | Amazon Beauty, kept | Amazon Beauty, removed | Toys, kept |",
        "|---|---|---|---|",
        "| `plain` | **+.0200** | – | **−.0200** |",
        "| `orm` | – | +.0010 | – |",
    ]


def test_guided_wins_nowhere() -> None:
    rows = [compared("co_visit", "worse"), compared("orm", "open"), compared("plain")]
    costs = [measured("guided"), measured("guided", seed=1, flops_per_user=60e6), measured("orm", flops_per_user=3e8)]
    lines = shortfalls(rows, [*costs, measured("orm", half="above", flops_per_user=1.0)])
    place = "| Amazon Beauty | past items kept"
    assert lines == [
        "All users:",
        "",
        "| data | past items | FLOPs per user: it against guided | method | seeds "
        "| guided − it, R@10 | guided − it, N@10 "
        "| guided is |",
        "|---|---|---|---|---|---|---|---|",
        f"{place} | – against 55 M | `co_visit` | 3 | **−.0200 (−.0300 to −.0100)** | – | **worse** |",
        f"{place} | 300 M against 55 M | `orm` | 3 | +.0010 (−.0020 to .0040) | – | not told apart |",
    ]


def test_halves_stand_in_a_table_of_their_own() -> None:
    rows = [compared("plain", "open"), compared("plain", "open", half="below", seen="remove", seeds=1)]
    lines = shortfalls(rows, [])
    assert lines[lines.index("Halves of the users, by product numbers:") + 4] == (
        "| Amazon Beauty | past items removed | target below | `plain` | 1 | +.0010 (−.0020 to .0040) | – "
        "| not told apart |"
    )
    assert len(shortfalls(rows[1:], [])) == 5  # no table of all users


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
