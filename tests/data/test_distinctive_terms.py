"""Words for groups of items: what sets them apart, single items, and catalogues without texts."""

import pytest

from promise.data.distinctive_terms import DistinctiveTerms

TEXTS = ["Red Lamp", "Blue Lamp", "Red Mug", "Blue Mug", "Blue Mug big", None]


@pytest.fixture
def terms() -> DistinctiveTerms:
    return DistinctiveTerms(TEXTS)


def test_the_words_that_set_a_group_apart(terms: DistinctiveTerms) -> None:
    assert terms.of([0, 1]).startswith("Lamp 100 %")
    assert terms.of([2, 3, 4]).split(", ")[0] == "Mug 100 %"
    assert terms.of([2, 3, 4], count=1) == "Mug 100 %"


def test_what_all_have_says_nothing(terms: DistinctiveTerms) -> None:
    assert terms.of(range(len(TEXTS))) == "" == terms.of([])


def test_one_item_is_its_text(terms: DistinctiveTerms) -> None:
    assert (terms.of([4]), terms.of([5])) == ("Blue Mug big", "")
    assert DistinctiveTerms(["Lamp " * 30]).of([0]) == ("Lamp " * 16)[:79] + "…"


def test_a_catalogue_without_texts() -> None:
    terms = DistinctiveTerms([None, None, ""])
    assert (terms.of([0, 1]), terms.of([2])) == ("", "")
