"""Words for groups of items: what sets them apart, single items, and catalogues without texts."""

import pytest

from promise.data.wording import Wording

TEXTS = ["Red Lamp", "Blue Lamp", "Red Mug", "Blue Mug", "Blue Mug big", None]


@pytest.fixture
def wording() -> Wording:
    return Wording(TEXTS)


def test_the_words_that_set_a_group_apart(wording: Wording) -> None:
    assert wording.of([0, 1]).startswith("Lamp 100 %")
    assert wording.of([2, 3, 4]).split(", ")[0] == "Mug 100 %"
    assert wording.of([2, 3, 4], count=1) == "Mug 100 %"


def test_what_all_have_says_nothing(wording: Wording) -> None:
    assert wording.of(range(len(TEXTS))) == "" == wording.of([])


def test_one_item_is_its_text(wording: Wording) -> None:
    assert (wording.of([4]), wording.of([5])) == ("Blue Mug big", "")
    assert wording.of([4], length=9) == "Blue Mug…"


def test_a_catalogue_without_texts() -> None:
    wording = Wording([None, None, ""])
    assert (wording.of([0, 1]), wording.of([2])) == ("", "")
