"""Muon: momentum whose matrices are made orthogonal before each step. Small models learn with it in half the steps of AdamW."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

_POLYNOMIAL = (3.4445, -4.7750, 2.0315)
"""Coefficients of the Newton-Schulz iteration. **Source:** Jordan et al. 2024, Muon: an optimizer for hidden layers."""
_EPSILON = 1e-7


class Muon:
    """Steps a list of matrices. In float32, and matrices of one shape together: on a CPU torch's own is several times slower."""

    def __init__(self, matrices: Sequence[Any], momentum: float = 0.95) -> None:
        import torch

        self._matrices = list(matrices)
        self._momentum = momentum
        self._moved = [torch.zeros_like(matrix) for matrix in self._matrices]

    def step(self, rate: float) -> None:
        """Move every matrix by its gradient, `rate` in units of an orthogonal matrix, and drop the gradients."""
        import torch

        groups: dict[tuple[int, ...], list[tuple[Any, Any]]] = defaultdict(list)
        with torch.no_grad():
            for matrix, moved in zip(self._matrices, self._moved, strict=True):
                moved.lerp_(matrix.grad, 1 - self._momentum)
                groups[tuple(matrix.shape)].append((matrix, matrix.grad.lerp(moved, self._momentum)))
                matrix.grad = None
            for (tall, wide), members in groups.items():
                updates = orthogonal(torch.stack([update for _, update in members]))
                for (matrix, _), update in zip(members, updates, strict=True):
                    matrix.add_(update, alpha=-rate * max(1.0, tall / wide) ** 0.5)


def orthogonal(matrices: Any, steps: int = 5) -> Any:
    """Return matrices `(n, rows, columns)` with about the same singular vectors, and singular values near 1."""
    a, b, c = _POLYNOMIAL
    turned = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if turned else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + _EPSILON)
    for _ in range(steps):
        squared = x @ x.mT
        x = a * x + (b * squared + c * squared @ squared) @ x
    return x.mT if turned else x
