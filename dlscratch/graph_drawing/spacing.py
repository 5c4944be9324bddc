"""Heights as near to what is wished for as their distances allow: a small quadratic programme, solved."""

import numpy as np

from dlscratch.functions import Array

ROUNDS, PRECISION, SLACK = 60, 1e-2, 1e-8


def nearest(matrix: Array, vector: Array, distances: dict[tuple[int, int], float]) -> Array:
    """Minimise yᵀ matrix y / 2 - vectorᵀ y where y_b - y_a >= distance, by block pivoting (Júdice and Pires 1994).

    Forces push pairs apart. Those that pull, and pairs that are too near without one, change sides in each round.
    After the last round, what is still too near is moved down.
    """
    (a, b), least = np.array(list(distances), dtype=int).reshape(-1, 2).T, np.array(list(distances.values()))
    inverse = np.linalg.inv(matrix)
    y = free = inverse @ vector
    pushed = np.zeros(len(least), dtype=bool)
    for _ in range(ROUNDS):
        force, (i, j) = np.zeros(len(least)), (a[pushed], b[pushed])
        push = inverse[:, j] - inverse[:, i]
        stiffness = push[j] - push[i] + SLACK * np.eye(len(i))  # a little, so that there is always a solution
        force[pushed] = np.linalg.solve(stiffness, least[pushed] - free[j] + free[i])
        y = free + push @ force[pushed]
        wrong = np.where(pushed, force < 0, y[b] - y[a] < least - PRECISION)
        if not wrong.any():
            break
        pushed ^= wrong
    for _ in range(len(y)):  # at most, along the longest way down
        if (y[b] - y[a] >= least - PRECISION).all():
            break
        np.maximum.at(y, b, y[a] + least)
    return y
