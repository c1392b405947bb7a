"""Units of what readers see: FLOPs with three digits and a prefix."""

MISSING = "–"


def flops_text(flops: float | None) -> str:
    """FLOPs with three digits and a prefix; a dash where there are none to tell.

    >>> [flops_text(value) for value in (1.94e6, 12_345.0, 1.5e9, 0.0, None)]
    ['1.94 MFLOP', '12.3 kFLOP', '1.5 GFLOP', '0 FLOP', '–']
    """
    if flops is None or flops != flops:
        return MISSING
    place = min(max((len(f"{flops:.0f}") - 1) // 3, 0), 5)
    return f"{flops / 1000.0**place:.3g} {('', 'k', 'M', 'G', 'T', 'P')[place]}FLOP"
