"""The points that no other point beats at the same or a lower cost, and the knee of their front."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def pareto(cost: ArrayLike, accuracy: ArrayLike) -> NDArray[np.bool_]:
    """Mark the undominated points (lower cost, higher accuracy).

    A point is dominated when another is at least as good in both and better in one; of equal
    points all stay. A point with a missing (NaN) cost or accuracy is never marked.

    Args:
        cost: (n,) costs, in any unit.
        accuracy: (n,) accuracies, in any unit.

    Returns:
        (n,) bool.

    Example:
        >>> pareto([1, 2, 3], [0.1, 0.3, 0.2]).tolist()
        [True, True, False]
    """
    costs, values = np.asarray(cost, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    # (n, n): whether a point of the columns is as good as one of the rows in both, and better in one
    as_good = (costs <= costs[:, None]) & (values >= values[:, None])
    better = (costs < costs[:, None]) | (values > values[:, None])
    mask: NDArray[np.bool_] = ~(as_good & better).any(axis=1) & ~np.isnan(costs + values)
    return mask


def knee(cost: ArrayLike, accuracy: ArrayLike) -> int | None:
    """The front's point farthest above the line from its cheapest to its most accurate point, in log cost.

    Args:
        cost: (n,) costs > 0.
        accuracy: (n,) accuracies.

    Returns:
        Index of the knee; the cheapest of equally far ones; None without any point.

    Example:
        >>> knee([1, 10, 100, 1000], [0.1, 0.4, 0.45, 0.46])
        1
    """
    costs, values = np.asarray(cost, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    front = np.flatnonzero(pareto(costs, values))
    if not len(front):
        return None
    front = front[np.lexsort((values[front], costs[front]))]
    run, rise = np.log(costs[front] / costs[front[0]]), values[front] - values[front[0]]
    share = np.divide(run, run[-1], out=np.zeros_like(run), where=run[-1] > 0)
    gain = np.divide(rise, rise[-1], out=np.zeros_like(rise), where=rise[-1] > 0)
    return int(front[np.argmax(np.round(gain - share, 12))])
