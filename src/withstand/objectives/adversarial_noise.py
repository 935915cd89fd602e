"""Adversarial noise training (ANT)."""

from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from withstand.data.space import Space
from withstand.engine import sum_over_processes
from withstand.errors import InputError
from withstand.functional.random import BatchStream, Rng, choice, new_seed, stream
from withstand.functional.sphere import move_to_distance
from withstand.functional.tensors import PerRow, Points, Targets
from withstand.limits import NonNegativeInt, PositiveFloat, PositiveInt, Share
from withstand.models.frozen import frozen
from withstand.models.noise_generator import Kernel, NoiseGenerator
from withstand.objectives.base import Batches, Objective, Stateful, Step, weighted_mean
from withstand.objectives.folds.base import Fold, folded, tempered, with_unchanged
from withstand.objectives.folds.consistency import Consistency
from withstand.objectives.folds.soft_maximum import SoftMaximum
from withstand.objectives.stylized import Stylized
from withstand.perturbations.base import Draws, Perturbation
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity
from withstand.perturbations.mixture import Draw, draw_in_parts

LOSS_SCALE = 1024.0  # keeps gradients in half precision away from 0
# l2 distance of Gaussian noise of std 0.5 after clipping, on images of this size; it grows with the root of the size.
PUBLISHED_RADIUS, PUBLISHED_SIZE = 135.0, 3 * 224 * 224


class Game(nn.Module):
    """State: the current generator, its optimiser and the earlier generators.

    Attributes:
        generator: The current one.
        past: Parameter vectors of earlier generators.
        seen: Number of earlier generators so far, including discarded ones.
        stylized: Source of stylized images, if any.
    """

    def __init__(self, generator: NoiseGenerator, *, lr: float, stylized: Stylized | None = None) -> None:
        """Start without a past."""
        super().__init__()
        self.generator, self.past, self.seen, self.stylized = generator, list[Tensor](), 0, stylized
        self.optimizer = torch.optim.Adam(generator.parameters(), lr=lr)

    def get_extra_state(self) -> dict[str, Any]:
        """Return the state besides the parameters of the current generator."""
        own = {"past": self.past, "seen": self.seen, "optimizer": self.optimizer.state_dict()}
        return own if self.stylized is None else own | {"stylized": self.stylized.seed}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_extra_state` returned."""
        device = next(self.generator.parameters()).device
        self.past, self.seen = [each.to(device) for each in state["past"]], state["seen"]
        self.optimizer.load_state_dict(state["optimizer"])
        if self.stylized is not None:
            self.stylized.seed = state["stylized"]

    def parameters_of(self, number: int) -> dict[str, Tensor]:
        """Return the parameters of an earlier generator by name."""
        sizes = [each.numel() for each in self.generator.parameters()]
        parts = self.past[number].split(sizes)
        named = zip(self.generator.named_parameters(), parts, strict=True)
        return {name: part.view_as(each) for (name, each), part in named}


@dataclass(frozen=True, kw_only=True)
class AdversarialNoise(Objective):
    """Adversarial noise training (ANT): part of every batch gets noise trained to fool the classifier.

    A small generator turns normal numbers into noise, independent of the image. In every step it ascends the
    classifier's cross entropy, with the classifier frozen and in evaluation mode. Then the classifier descends its loss
    on a batch with a clean part, a part with noise of the current generator, and a part with noise of earlier ones.
    Every noisy image has the same l2 distance from its clean one after clipping. From the second epoch on, each epoch
    starts with a fresh generator that is trained against the classifier.

    The part without noise can be perturbed as well, and copies can be folded: with AugMix, two draws and `Consistency`,
    for example, all copies of half of the samples are mixed, and those of the others have noise.

    Attributes:
        perturbation: Applied to the part without noise; `Identity` keeps it clean.
        num_draws: Copies per sample and step.
        fold: How the outputs for the copies of a sample become one loss.
        radius: l2 distance after clipping, > 0, in the units of the inputs. None takes 135 for images of 224 x 224 x 3,
            scaled with the square root of the number of values for other sizes; tables need a number.
        kernel: `1x1` draws every pixel independently; with `3x3`, the noise of neighbouring pixels is correlated.
        clean_share: Share of the batch without noise, in [0, 1).
        replay_share: Share of the batch with noise of earlier generators, in [0, 1); the rest has noise of the current
            generator.
        num_replayed: Number of earlier generators in each batch.
        lr: Learning rate of the generator during training of the classifier, > 0.
        restart_steps: Training steps of a fresh generator at the start of an epoch, >= 0; 0 keeps the old generator.
        restart_lr: Learning rate of the generator in these training steps, > 0.
        capacity: Number of earlier generators to keep, at least 1.
        keep: `reservoir` keeps a random subset of all earlier generators, `newest` the most recent ones.
        stylized: Folder of images that are added to every batch without noise, with their own labels:
            `train/<class>/<file>`, with the classes of the data. The path may be relative to the data root. None adds
            no images.
        stylized_ratio: Number of stylized images per image of the batch, > 0; the shares above refer to the batch
            without them.

    Source:
        Rusak, Schott, Zimmermann, Bitterwolf, Bringmann, Bethge, Brendel 2020, arXiv 2001.06057, section 3.2; values of
        bethgelab/game-of-noise, main.py.
        Differs: the trained generator is the one whose noise the classifier receives; stylized images are drawn anew
        for every step, from the whole folder.
    """

    perturbation: Perturbation = Identity()
    num_draws: PositiveInt = 1
    fold: Fold = SoftMaximum()
    radius: PositiveFloat | None = None
    kernel: Kernel = "1x1"
    clean_share: Share = 0.5
    replay_share: Share = 0.2
    num_replayed: PositiveInt = 2
    lr: PositiveFloat = 1e-4
    restart_steps: NonNegativeInt = 1000
    restart_lr: PositiveFloat = 5e-4
    capacity: PositiveInt = 128
    keep: Literal["reservoir", "newest"] = "reservoir"
    stylized: str | None = None
    stylized_ratio: PositiveFloat = 15 / 55

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clean_share + self.replay_share >= 1:
            got = f"{self.clean_share:g} + {self.replay_share:g}"
            raise InputError(f"AdversarialNoise: clean_share + replay_share must be below 1, got {got}.")

    @property
    def operations(self) -> frozenset[str] | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Noise; with images of a folder, it is unknown."""
        return frozenset({"noise"}) if self.stylized is None else None

    def check(self, space: Space) -> None:
        """Reject tables if the radius is None, and check the perturbation."""
        self.perturbation.check(space)
        radius_for(self.radius, space.shape)

    def init(self, x: Points, *, model: nn.Module, rng: Rng) -> Game:
        """Return a new generator, without earlier ones to replay."""
        generator, stylized = self._fresh(x, rng), None
        if self.stylized is not None:
            stylized = Stylized(self.stylized, shape=tuple(x.shape[1:]), ratio=self.stylized_ratio, seed=new_seed(rng))
        return Game(generator, lr=self.lr, stylized=stylized)

    def begin_epoch(
        self, model: nn.Module, batches: Batches, *, space: Space, state: Stateful, epoch: int, epochs: int, rng: Rng
    ) -> None:
        """Store the current generator, and train a fresh one."""
        assert isinstance(state, Game)
        if epoch == 0:
            return
        self._remember(state, rng)
        if self.restart_steps == 0:
            return
        x = next(batches)[0].x
        with torch.no_grad():
            fresh = self._fresh(x, rng)
            vector_to_parameters(parameters_to_vector(fresh.parameters()), state.generator.parameters())
        state.optimizer = torch.optim.Adam(state.generator.parameters(), lr=self.restart_lr)
        for _ in range(self.restart_steps):
            sample, source = next(batches)
            self.attack(model, sample.x, sample.y, weight=sample.weight, space=space, state=state, rng=source)
        state.optimizer = torch.optim.Adam(state.generator.parameters(), lr=self.lr)

    def step(
        self,
        model: nn.Module,
        x: Points,
        y: Targets,
        *,
        weight: PerRow | None = None,
        space: Space,
        state: Stateful,
        count: int,
        rng: Rng,
    ) -> Step:
        """Update the generator, then return the loss of the classifier on the mixed batch."""
        assert isinstance(state, Game)
        fooled = self.attack(model, x, y, weight=weight, space=space, state=state, rng=rng)
        draws = self.mix(model, x, y, space=space, state=state, rng=rng)
        scale = 1.0
        if state.stylized is not None:
            added = state.stylized.share(x, count=count, rng=rng)
            x, y, draws, scale = *with_unchanged(x, y, draws, added.x, added.y), added.scale
            weight = None if weight is None else torch.cat([weight, weight.new_ones(len(added.y))])

        def loss(logits: Tensor, y: Tensor) -> Tensor:
            if state.stylized is not None:
                state.stylized.check_logits(logits)
            return cross_entropy(logits.float(), y, reduction="none")

        losses = folded(self.fold, model, x, y, draws, loss=loss)
        return Step(scale * weighted_mean(losses, weight), {"loss under the generator": fooled})

    def attack(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        *,
        weight: Tensor | None = None,
        space: Space,
        state: Game,
        rng: Rng,
    ) -> Tensor:
        """Update the generator to increase the loss under its noise, and return that loss."""
        parameters = list(state.generator.parameters())
        with frozen(model), torch.enable_grad():
            noise = state.generator.draw(x, rng=rng)
            moved = move_to_distance(x, noise, radius_for(self.radius, space.shape), box=space.box)
            loss = _mean_loss(model(moved).float(), y, weight)
            gradients = torch.autograd.grad(-LOSS_SCALE * loss, parameters)
        share = rng.weight if isinstance(rng, BatchStream) else 1.0
        flat = torch.cat([each.flatten() for each in gradients]) * (share / LOSS_SCALE)
        # Non-finite steps are skipped; the trainer raises if the classifier's loss is not finite.
        flat = sum_over_processes(flat).nan_to_num(0.0, 0.0, 0.0)
        for each, part in zip(parameters, flat.split([each.numel() for each in parameters]), strict=True):
            each.grad = part.view_as(each)
        state.optimizer.step()
        state.optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    @torch.no_grad()
    def mix(self, model: nn.Module, x: Tensor, y: Tensor, *, space: Space, state: Game, rng: Rng) -> Draws:
        """Return copies of the batch, with noise added to its noisy shares and the others perturbed."""
        earlier = choice(len(state.past), self.num_replayed, rng=rng) if self.replay_share else []
        replay = self.replay_share if earlier else 0.0
        radius = radius_for(self.radius, space.shape)

        def noisy(parameters: dict[str, Tensor] | None) -> Draw:
            def draw(x: Tensor, _: Tensor, __: nn.Module, *, space: Space, num_draws: int, rng: Rng) -> Draws:
                noise = [state.generator.draw(x, rng=rng, parameters=parameters) for _ in range(num_draws)]
                return Draws(torch.stack([move_to_distance(x, each, radius, box=space.box) for each in noise]))

            return draw

        perturbation = tempered(self.perturbation, self.fold)
        parts: list[tuple[float, Draw | None]] = [
            (self.clean_share, None if isinstance(perturbation, Identity) else perturbation.draw),
            (1 - self.clean_share - replay, noisy(None)),
            *((replay / len(earlier), noisy(state.parameters_of(each))) for each in earlier),
        ]
        present = [(share, draw) for share, draw in parts if share > 0]
        return draw_in_parts(present, x, y, model, space=space, num_draws=self.num_draws, rng=rng)

    def _fresh(self, x: Tensor, rng: Rng) -> NoiseGenerator:
        # Drawn on the CPU, from a seed that all processes share.
        first = stream(new_seed(rng), "generator")
        generator = NoiseGenerator(tuple(x.shape[1:]), kernel=self.kernel, rng=first)
        return generator.to(x.device)

    def _remember(self, state: Game, rng: Rng) -> None:
        vector = parameters_to_vector(state.generator.parameters()).detach().clone()
        state.seen += 1
        if len(state.past) < self.capacity:
            state.past.append(vector)
        elif self.keep == "newest":
            state.past = [*state.past[1:], vector]
        else:
            place = choice(state.seen, 1, rng=rng)[0]
            if place < self.capacity:
                state.past[place] = vector

    @classmethod
    def examples(cls) -> list[Objective]:
        """All parts, with short restarts; and the current generator alone."""
        return [
            cls(radius=1.0, lr=1e-2, restart_lr=1e-2, restart_steps=2, capacity=2),
            cls(radius=0.5, clean_share=0.0, replay_share=0.0, restart_steps=0, keep="newest", capacity=1),
            cls(radius=1.0, perturbation=Gaussian(std=0.1), num_draws=2, fold=Consistency(), restart_steps=1),
        ]


def _mean_loss(logits: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return cross_entropy(logits, y)
    return weighted_mean(cross_entropy(logits, y, reduction="none"), weight)


def radius_for(radius: float | None, shape: tuple[int, ...]) -> float:
    """Return the radius, or the published one per root of the number of values of an image.

    Example:
        >>> radius_for(None, (3, 224, 224)), round(radius_for(None, (1, 28, 28)), 2)
        (135.0, 9.74)
    """
    if radius is not None:
        return radius
    if len(shape) != 3:
        raise InputError(f"AdversarialNoise: inputs of shape {shape} need a radius, got None.")
    return PUBLISHED_RADIUS * (prod(shape) / PUBLISHED_SIZE) ** 0.5
