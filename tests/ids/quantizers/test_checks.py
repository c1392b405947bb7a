"""What a quantizer from outside gives is refused with what is wrong with it."""

from typing import Any

import numpy as np
import pytest

from promise.ids.quantizers.checks import check_encoding

CODES = np.array([[0, 1], [2, 0], [1, 1]], np.int32)
BOOKS = [np.zeros((3, 4), np.float32), np.zeros((2, 4), np.float32)]


@pytest.mark.parametrize(
    ("codes", "books", "said"),
    [
        (CODES[:, :1], BOOKS, r"codes must be an array of shape \(3, 2\) \(items, levels\), got \(3, 1\)"),
        (CODES[:2], BOOKS, r"codes must be an array .* got \(2, 2\)"),
        (CODES.tolist(), BOOKS, r"codes must be an array .* got list"),
        (CODES + 1, BOOKS, r"codes of level 1 must lie in 0 \.\. 2, got 3 for item 1"),
        (CODES - 1, BOOKS, r"codes of level 1 must lie in 0 \.\. 2, got -1 for item 0"),
        (CODES.astype(float), BOOKS, "codes must be integers, got float64"),
        (CODES, BOOKS[:1], r"codebooks must be 2 tables \(codes, 4\), got shapes \[\(3, 4\)\]"),
        (CODES, [book[:, :2] for book in BOOKS], r"codebooks must be 2 tables"),
        (CODES, [book * np.nan for book in BOOKS], "codebooks must be finite"),
        (CODES, [BOOKS[0], BOOKS[0]], r"codebook of level 2 must have 1 \.\. 2 codes \(level_sizes\), got 3"),
    ],
)
def test_it_is_one_line(codes: Any, books: Any, said: str) -> None:
    with pytest.raises(ValueError, match=f"^(the quantizer's )?{said}"):
        check_encoding(codes, books, (3, 2), items=3, dim=4)
    check_encoding(CODES, BOOKS, (3, 2), items=3, dim=4)
