"""What a sweep shows: which points are compared, and that the differences are those of the ranks."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from promise.experiments.findings import Measured, findings
from promise.metrics.intervals import Interval
from promise.metrics.ranking import NOT_RANKED, recall_values

RANKS = {
    share: np.where(np.arange(200) < share * 200, np.arange(200) % 10, NOT_RANKED).astype(np.int64)
    for share in (0.1, 0.2, 0.5)
}


def point(search: str, share: float = 0.2, **row: Any) -> Measured:
    base = {"data": "d", "split": "test", "users": 200, "seed": 0, "seen": "keep", "search": search, "recall@10": share}
    if search not in ("popularity", "co_visit"):
        base |= {"generator": "tiny", "reward": "dot", "training": "joint", "networks": "sha256:a"}
    return Measured(base | {name.replace("search_", "search."): value for name, value in row.items()}, RANKS[share])


def plain(width: int, share: float = 0.2, **row: Any) -> Measured:
    return point("plain", share, search_width=width, search_candidates=width, search_weight=0.0, **row)


def guided(width: Any, candidates: Any, share: float = 0.5, weight: Any = 1.0, **row: Any) -> Measured:
    dials = {"search_width": width, "search_candidates": candidates, "search_weight": weight}
    return point("guided", share, **dials, search_control=row.pop("control", "none"), **row)


def texts(points: list[Measured]) -> list[str]:
    return [finding.text.removeprefix("recall@10: ") for finding in findings(points)]


def test_a_difference_is_that_of_the_recalls() -> None:
    found = findings([plain(10), guided(10, 40)])[0]
    assert found.text == "recall@10: guided W=10 C=40 − plain W=10"
    assert found.difference == pytest.approx(
        recall_values(RANKS[0.5], 10).mean() - recall_values(RANKS[0.2], 10).mean()
    )
    assert found.low is not None and found.high is not None
    assert found.low < found.difference < found.high
    assert found.cells() == [found.text, found.difference, found.low, found.high, "above 0"]
    assert asdict(found) == {
        "text": found.text, "difference": found.difference, "low": found.low, "high": found.high
    }  # fmt: skip


def test_equal_width_wider_plain_steps_and_controls() -> None:
    points = [guided(10, 40), guided(10, 10, 0.1), guided(10, 20), plain(10), plain(40), plain(80)]
    assert texts([*points, guided(10, 40, 0.1, control="shuffled")]) == [
        "guided W=10 C=40 − plain W=10",
        "guided W=10 C=40 − plain W=40",
        "guided W=10 C=40, reward shuffled − plain W=10",
        "guided W=10 C=40 − C=10",
        "  step W=10 C=20 − C=10",
        "  step W=10 C=40 − C=20",
    ]


def test_all_levels_against_the_last_alone_at_equal_candidates() -> None:
    last = [point("last_level", 0.1, search_width=10, search_candidates=c, search_weight=[0, 1]) for c in (20, 80)]
    assert texts([guided(10, 10), guided(10, 20), *last]) == [
        "guided W=10 C=20 − its reward at the last level alone",
        "guided W=10 C=20 − C=10",
    ]


def test_baselines_against_the_widest() -> None:
    assert texts([plain(10), plain(20), guided(10, 20), point("popularity", 0.1)]) == [
        "guided W=10 C=20 − plain W=10",
        "plain W=20 − popularity",
        "guided W=10 C=20 − popularity",
    ]


def test_only_like_is_compared_with_like() -> None:
    assert texts([plain(10, seed=1), guided(10, 20)]) == []
    assert texts([plain(10, networks="sha256:b"), guided(10, 20)]) == []
    assert texts([plain(10), guided(10, 20, weight=0.5)]) == []


def test_scales_of_counts_and_adaptive_candidates_are_no_steps() -> None:
    scales = [point for k in (1, 3) for point in (plain(10), guided(10, 20))]
    for k, point in zip((1, 1, 3, 3), scales, strict=True):
        point.row["cooccurrence.scale"] = k
    assert texts([*scales, guided(10, 40, search_adaptive="entropy")]) == [
        f"cooccurrence.scale={k} recall@10: guided W=10 C=20 − plain W=10" for k in (1, 3)
    ]


def test_steps_in_candidates_hold_together_over_all_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = []
    monkeypatch.setattr(
        "promise.experiments.findings.paired_interval",
        lambda *_, seed, level: levels.append(level) or Interval(0.1, 0.0, 0.2, ()),
    )
    findings([guided(10, c, seed=seed) for seed in range(3) for c in (20, 40, 80)])
    assert sum(1 - level for level in levels if level != 0.95) == pytest.approx(0.05)


def test_points_of_fewer_than_ten_beams_are_not_compared() -> None:
    few = {"recall@10": None}
    assert texts([plain(5, **few), guided(5, 20, **few), point("popularity")]) == []


def test_dials_per_level_do_no_harm() -> None:
    assert texts([plain(10), guided([10, 8, 5], [20, 8, 5]), guided(10, [20, 10, 10]), guided(10, 20)]) == [
        "guided W=10 C=20 − plain W=10"
    ]


def test_groups_are_told_apart() -> None:
    seeds = [search for seed in (0, 1) for search in (plain(10, seed=seed), guided(10, 20, seed=seed))]
    assert [finding.text for finding in findings(seeds)] == [
        "seed=0 recall@10: guided W=10 C=20 − plain W=10",
        "seed=1 recall@10: guided W=10 C=20 − plain W=10",
    ]
    sizes = [
        search
        for name, networks in (("tiny", "a"), ("small", "b"))
        for search in (plain(10, generator=name, networks=networks), guided(10, 20, generator=name, networks=networks))
    ]
    assert findings(sizes)[1].text == "generator=small recall@10: guided W=10 C=20 − plain W=10"
    same_names = [p for networks in "ab" for p in (plain(10, networks=networks), guided(10, 20, networks=networks))]
    assert findings(same_names)[0].text == "networks=a recall@10: guided W=10 C=20 − plain W=10"


PARAMETERS = {"tiny": 10, "small": 20, "base": 30}


def sized(make: Any, name: str, *dials: Any, **row: Any) -> Measured:
    more = {"generator": name, "networks": name, "parameters": PARAMETERS[name], "flops_per_user": 2e6}
    return make(*dials, **{**more, **row})


def test_every_smaller_guided_one_against_every_larger_plain_one() -> None:
    made = [sized(plain, name, width) for name in PARAMETERS for width in (10, 20)]
    made += [sized(guided, name, 10, c) for name in PARAMETERS for c in (100, 20)]
    assert texts(made)[-3:] == [
        f"{smaller} guided W=10 C=100, 2 MFLOP − {larger} plain W=10, 2 MFLOP"
        for smaller, larger in (("tiny", "small"), ("tiny", "base"), ("small", "base"))
    ]
    found = findings([sized(plain, "tiny", 10), sized(plain, "small", 10), sized(guided, "tiny", 10, 40)])[-1]
    assert found.difference == pytest.approx(0.3) and found.low is not None and 0 < found.low < 0.3


@pytest.mark.parametrize(
    "changes",
    [{"seed": 1}, {"seen": "remove"}, {"reward": "cross_attention"}, {"training": "staged"}, {"weight": 0.5},
     {"control": "shuffled"}, {"recall@10": None}],
)  # fmt: skip
def test_sizes_that_are_not_compared(changes: dict[str, Any]) -> None:
    made = [sized(plain, name, 10) for name in ("tiny", "small")]
    assert any("small plain" in text for text in texts([*made, sized(guided, "tiny", 10, 100)]))
    assert not any("small plain" in text for text in texts([*made, sized(guided, "tiny", 10, 100, **changes)]))


def test_one_size_with_other_ids_is_no_larger_one() -> None:
    made = [sized(plain, "tiny", 10), sized(plain, "tiny", 10, parameters=14, networks="b")]
    assert not any("tiny guided" in text for text in texts([*made, sized(guided, "tiny", 10, 100)]))
