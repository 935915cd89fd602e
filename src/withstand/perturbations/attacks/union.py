"""Several attacks, one after another."""

from dataclasses import dataclass, replace

from withstand.configuration import identity
from withstand.functional.random import RowStreams
from withstand.perturbations.attacks.apgd import APGD
from withstand.perturbations.attacks.attack import Attack
from withstand.perturbations.attacks.sampled import Sampled
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Perturbation
from withstand.perturbations.search.target import Target
from withstand.perturbations.uniform import Uniform


@dataclass(frozen=True, kw_only=True)
class Union(Attack):
    """Several attacks, one after another; each attacks the rows that are not broken yet.

    Attributes:
        attacks: The attacks; their balls are replaced by the ball of the union.
    """

    attacks: tuple[Attack, ...] = (APGD(),)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "attacks", tuple(each.within(self.ball) for each in self.attacks))

    @property
    def needs_gradient(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether one of the attacks needs it."""
        return any(each.needs_gradient for each in self.attacks)

    @property
    def condition(self) -> str:
        """The ball, the names of the attacks, and a hash of their configuration."""
        return f"{self.ball.name}, {' + '.join(type(each).__name__ for each in self.attacks)} {identity(self.attacks)}"

    def within(self, ball: Ball) -> "Union":
        """Return the attacks on another ball."""
        return replace(self, ball=ball)

    def search(self, target: Target, *, rng: RowStreams) -> None:
        """Run the attacks; `target.by` is the number of the attack that broke a row."""
        for number, attack in enumerate(self.attacks, 1):
            rows = target.rows
            if len(rows) == 0:
                return
            attack.search(target, rng=rng.named(type(attack).__name__, number))
            target.by[rows[target.is_broken[rows]]] = number

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """Gradient ascent, then random points."""
        tries = Sampled(perturbation=Uniform(), num_draws=3)
        return [cls(ball=ball, attacks=(APGD(steps=2), tries)) for ball in (Ball("linf", 0.1), Ball("l2", 0.5))]
