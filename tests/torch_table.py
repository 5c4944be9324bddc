"""How closely everything agrees with PyTorch: `python tests/torch_table.py` prints the table of docs/pytorch.md."""

from dlscratch.command import limit_blas_threads

if __name__ == "__main__":
    limit_blas_threads(1)

import numpy as np
from torch_layers import layer_comparisons
from torch_optimizers import optimizer_comparisons
from torch_trainings import training_comparisons

COMPARISONS = [*layer_comparisons(), *optimizer_comparisons(), *training_comparisons()]


def main() -> None:
    print("| dlscratch | PyTorch | float32 | float64 |")
    print("|---|---|---|---|")
    for name, counterpart, distances, _, dtypes in COMPARISONS:
        figures = [max(distances(dtype).values()) if dtype in dtypes else None for dtype in (np.float32, np.float64)]
        print(f"| {name} | {counterpart} | {' | '.join(map(shown, figures))} |")


def shown(figure: float | None) -> str:
    return "" if figure is None else f"{figure:.0e}" if figure else "equal"


if __name__ == "__main__":
    main()
