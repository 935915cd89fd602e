"""Upper bounds on the Lipschitz constant (l2 to l2) of fully connected networks, from their weights."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.errors import InputError

Weights = Sequence[Float[Tensor, "_ _"]]
Multipliers = Sequence[Float[Tensor, " _"]]

# Of the search for multipliers, which are steps in their logarithms: at first; in the end it is a hundredth.
STEP = 0.2
POWER_ITERATIONS = 5
# Bounds are loosened by at least this share.
LOOSEST, TIGHTEST = 1e-1, 1e-9
# Rows of a matrix below this share of its longest row come from neurons that do not depend on the input.
DEAD = 1e-8


def product_bound(weights: Weights) -> float:
    """Return the product of the spectral norms, rounded up.

    Args:
        weights: Matrices (out, in), in order of application, float64; the activations' slopes lie in [0, 1].

    Example:
        >>> round(product_bound([2 * torch.eye(3, dtype=torch.float64), 3 * torch.eye(3, dtype=torch.float64)]), 6)
        6.0
    """
    check_weights(weights)
    return math.prod(certified_bound([weight], []) for weight in weights)


def eclipse_fast_bound(weights: Weights) -> float:
    """Return the bound of ECLipsE-Fast: one multiplier per layer, in closed form.

    Never above the product of the spectral norms; exact for a single matrix.

    Args:
        weights: As in `product_bound`.

    Source:
        Xu, Sivaranjani 2024, arXiv 2404.04375, ECLipsE-Fast.
    """
    check_weights(weights)
    return min(product_bound(weights), certified_bound(weights, eclipse_fast_multipliers(weights)))


def lipsdp_neuron_bound(weights: Weights, *, steps: int) -> float:
    """Return a bound of LipSDP-neuron: one multiplier per neuron, searched for by gradients.

    Every step's multipliers give a bound; the best ones are certified. Never above ECLipsE-Fast's.

    Args:
        weights: As in `product_bound`.
        steps: Number of search steps, at least 0; 0 gives ECLipsE-Fast's bound.
    """
    fallback = eclipse_fast_bound(weights)
    if len(weights) == 1 or fallback == 0 or steps == 0:
        return fallback
    found = _search(_scaled(weights)[0], eclipse_fast_multipliers(weights), steps)
    return min(fallback, certified_bound(weights, found))


def eclipse_fast_multipliers(weights: Weights) -> list[Tensor]:
    r"""Return ECLipsE-Fast's multipliers, for weights scaled as `certified_bound` does.

    .. math:: L_i = 2 I / \lambda_{max}(W_i X_{i-1}^{-1} W_i')

    which makes the smallest eigenvalue of X_i as large as one number per layer can.
    """
    weights, _ = _scaled(weights)
    multipliers: list[Tensor] = []
    gram = weights[0] @ weights[0].T
    for weight in weights[1:]:
        highest = torch.linalg.eigvalsh(gram)[-1]
        multipliers.append((2 / highest).expand(len(gram)).clone())
        gram = _next(gram, multipliers[-1], weight)
    return multipliers


def certified_bound(weights: Weights, multipliers: Multipliers) -> float:
    r"""Return the bound that some multipliers prove, rounded up so that no rounding error can make it wrong.

    Between two inputs, W_n phi(... phi(W_1 x + b_1)) changes by W_n D_{n-1} W_{n-1} ... D_1 W_1 dx, with D_i diagonal
    and slopes of the activation, in [0, 1], on the diagonal. With z_0 = dx and z_i = D_i W_i z_{i-1}, and any diagonal
    L_i > 0, the number z_i' L_i (W_i z_{i-1} - z_i) is not negative. If the quadratic form

    .. math:: |z_0|^2 + \sum_i z_i' L_i (z_i - W_i z_{i-1}) - 2 y' W_n z_{n-1} + \rho |y|^2

    is positive definite in (z_0, ..., z_{n-1}, y), y = W_n z_{n-1} / rho shows |W_n z_{n-1}|^2 <= rho |dx|^2: the root
    of rho is a Lipschitz constant. Its matrix is block tridiagonal; eliminating block after block leaves

    .. math:: X_0 = I, \ X_i = L_i - L_i W_i X_{i-1}^{-1} W_i' L_i / 4, \ \rho > \lambda_{max}(W_n X_{n-1}^{-1} W_n').

    The L_i are the `multipliers`: any with positive definite X_i give a bound, the best give LipSDP-neuron's.

    The bound is raised, from 1e-9 of itself on, until the matrix of the quadratic form, with every diagonal entry
    lowered by 4 m^2 u (m its size, u the unit roundoff), has a Cholesky factorisation in float64. The factors' backward
    error in an entry is at most about m u times the root of its two diagonal entries (Higham, Accuracy and Stability of
    Numerical Algorithms, theorem 10.5), so less than what was taken away: the matrix itself is positive definite.

    Args:
        weights: As in `product_bound`; each is scaled by a power of two, which is exact, to a norm near 1.
        multipliers: One vector per matrix but the last, > 0, for the scaled weights.

    Returns:
        Infinity where the multipliers prove nothing.

    Source:
        Fazlyab et al. 2019, arXiv 1906.04893 (LipSDP-neuron); Xu, Sivaranjani 2024, arXiv 2404.04375 (the chain).
        Differs: multipliers are found by gradients and certified against rounding.

    Example:
        >>> round(certified_bound([torch.ones(1, 1, dtype=torch.float64)], []), 6)
        1.0
    """
    weights, factor = _scaled(weights)
    if factor == 0:
        return 0.0
    try:
        with torch.no_grad():
            square = _chain(weights, multipliers).item()
    except torch.linalg.LinAlgError:  # pyright: ignore[reportPrivateImportUsage]
        return math.inf
    loosening = TIGHTEST
    while loosening <= LOOSEST:
        if _is_positive_definite(weights, multipliers, raised := square * (1 + loosening) ** 2):
            return factor * math.sqrt(raised) * (1 + TIGHTEST)
        loosening *= 10
    return math.inf


def check_weights(weights: Weights) -> None:
    """Reject matrices that do not form a network.

    Raises:
        InputError: If there is none, one is not finite, or two shapes do not fit together.
    """
    if not weights:
        raise InputError("lipschitz: weights must hold at least one matrix, got none.")
    for number, weight in enumerate(weights):
        if weight.dtype != torch.float64 or not weight.isfinite().all():
            raise InputError(f"lipschitz: weights must be finite float64 numbers, matrix {number + 1} is not.")
        if number and weight.shape[1] != len(weights[number - 1]):
            shapes = ", ".join(str(tuple(each.shape)) for each in weights)
            raise InputError(f"lipschitz: each matrix must take the outputs of the previous one, got shapes {shapes}.")


def _scaled(weights: Weights) -> tuple[list[Tensor], float]:
    """Return the matrices divided by powers of two to norms near 1, and the product of these powers; 0 if one is."""
    norms = [weight.abs().max().item() * math.sqrt(min(weight.shape)) for weight in weights]
    if min(norms) == 0:
        return [torch.eye(*weight.shape, dtype=weight.dtype) for weight in weights], 0.0
    powers = [2.0 ** round(math.log2(norm)) for norm in norms]
    scaled = [weight / power for weight, power in zip(weights, powers, strict=True)]
    return scaled, math.prod(powers)


def _next(gram: Tensor, multipliers: Tensor, weight: Tensor) -> Tensor:
    """Return W_{i+1} X_i^{-1} W_{i+1}' from W_i X_{i-1}^{-1} W_i' and L_i."""
    eliminated = torch.diag(multipliers) - multipliers[:, None] * gram * multipliers / 4
    solved = torch.linalg.solve_triangular(torch.linalg.cholesky(eliminated), weight.T, upper=False)
    return solved.T @ solved


def _chain(weights: Weights, multipliers: Multipliers) -> Tensor:
    """Return the square of the bound."""
    gram = weights[0] @ weights[0].T
    for each, weight in zip(multipliers, weights[1:], strict=True):
        gram = _next(gram, each, weight)
    return torch.linalg.eigvalsh(gram)[-1]


def _search(weights: list[Tensor], start: list[Tensor], steps: int) -> list[Tensor]:
    """Return the best multipliers found.

    A layer's are c d, where d are free numbers > 0 and c is a free share of the largest number for which X_i stays
    positive definite, 4 / lambda_max(d^1/2 W_i X_{i-1}^{-1} W_i' d^1/2): so every step can be taken.
    """
    lengths = [weight.norm(dim=1) for weight in weights[:-1]]
    dead = [each <= DEAD * each.max() for each in lengths]
    with torch.enable_grad():
        logarithms = [each.log().requires_grad_() for each in start]
        shares = [torch.zeros((), dtype=torch.float64, requires_grad=True) for _ in start]
        optimizer = torch.optim.Adam([*logarithms, *shares], lr=STEP)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.01 ** (step / steps))
        lowest, best = math.inf, start
        tops: list[Tensor | None] = [None] * len(start)
        for _ in range(steps):
            # Neurons that do not depend on the input may have any multiplier; larger ones are better.
            most = [each.detach().max() - math.log(DEAD) for each in logarithms]
            free = [torch.where(*each).exp() for each in zip(dead, most, logarithms, strict=True)]
            try:
                multipliers, square = _feasible(weights, free, shares, tops)
            except torch.linalg.LinAlgError:  # pyright: ignore[reportPrivateImportUsage]
                # The power iteration lost an eigenvector: the next step computes them anew.
                tops = [None] * len(start)
                continue
            if square.item() < lowest:
                lowest, best = square.item(), [each.detach() for each in multipliers]
            optimizer.zero_grad()
            square.log().backward(inputs=[*logarithms, *shares])
            optimizer.step()
            schedule.step()
    return best


def _feasible(
    weights: list[Tensor], free: list[Tensor], shares: list[Tensor], tops: list[Tensor | None]
) -> tuple[list[Tensor], Tensor]:
    """Return the multipliers c d and the square of their bound; the eigenvectors that were used are put into `tops`."""
    multipliers = []
    gram = weights[0] @ weights[0].T
    for number, (each, share, weight) in enumerate(zip(free, shares, weights[1:], strict=True)):
        root = each.sqrt()
        matrix = root[:, None] * gram * root
        top = tops[number] = _top(matrix.detach(), tops[number])
        # With the eigenvector held fixed this is the largest eigenvalue, and has its derivative.
        multipliers.append(4 * share.sigmoid() * each / (top @ matrix @ top))
        gram = _next(gram, multipliers[-1], weight)
    return multipliers, torch.linalg.eigvalsh(gram)[-1]


def _top(matrix: Tensor, guess: Tensor | None) -> Tensor:
    """Return the eigenvector of the largest eigenvalue, followed by a few power iterations from the last step's."""
    if guess is None:
        return torch.linalg.eigh(matrix).eigenvectors[:, -1]
    for _ in range(POWER_ITERATIONS):
        guess = matrix @ guess
        guess = guess / guess.norm()
    return guess


def _is_positive_definite(weights: Weights, multipliers: Multipliers, square: float) -> bool:
    """Return whether the matrix of the quadratic form surely is, by a Cholesky factorisation block by block."""
    size = weights[0].shape[1] + sum(len(weight) for weight in weights)
    kept = 1 - 4 * size**2 * 2.0**-53
    last = torch.full((len(weights[-1]),), square, dtype=torch.float64)
    # The first block is the identity, a multiple of which is its own factor.
    solved = weights[0].T / math.sqrt(kept)
    for diagonal, following in zip([*multipliers, last], [*weights[1:], None], strict=True):
        coupling = solved if following is None else solved * (diagonal / 2)
        factor, info = torch.linalg.cholesky_ex(torch.diag(diagonal * kept) - coupling.T @ coupling)
        if info != 0:
            return False
        if following is not None:
            solved = torch.linalg.solve_triangular(factor, following.T, upper=False)
    return True
