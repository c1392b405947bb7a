"""The item texts of the simulated shop."""

import itertools

import numpy as np

from promise.data.sources.synthetic_texts import COLOURS, KINDS, STYLES, item_texts


def paths(*shape: int) -> np.ndarray:
    return np.array(list(itertools.product(*map(range, shape))))


def test_full_text_names_brand_style_colour_kind_and_path() -> None:
    texts = item_texts(np.array([[1, 0, 0]]), np.array([10]), 0.0, np.random.default_rng(0))
    assert texts[0] is not None
    title, path = texts[0].split(". ")
    brand, style, colour, kind = title.split(" ")
    assert brand == "Bakolu"  # 10 is 012 in octal digits
    assert style in STYLES and colour in COLOURS and kind in KINDS
    assert path == f"Categories: Kitchen, Lighting, {kind}"


def test_every_sub_category_has_a_path_of_its_own_however_large_the_tree() -> None:
    nodes = paths(25, 23, 60)
    texts = item_texts(nodes, np.zeros(len(nodes), dtype=int), 0.0, np.random.default_rng(0))
    assert len({str(text).split(". ")[1] for text in texts}) == len(nodes)
    assert any("Garden2" in str(text) for text in texts)


def test_a_path_alone_has_no_stray_punctuation() -> None:
    texts = item_texts(np.zeros((500, 3), dtype=int), np.zeros(500, dtype=int), 0.6, np.random.default_rng(0))
    for text in filter(None, texts):
        assert not text.startswith((".", " ", ",")) and not text.endswith((":", ",", " ", "."))
        assert "  " not in text
