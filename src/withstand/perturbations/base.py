"""Perturbation and Corruption: the bases of all perturbations."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, cast, final

import torch
from torch import Tensor, nn

from withstand.configuration import Configuration
from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.levels import truncated
from withstand.functional.random import Rng, RowStreams
from withstand.functional.tensors import Device, Images, Levels, Points, Targets
from withstand.limits import Seed, Temperature, checked
from withstand.perturbations.ball import Ball
from withstand.perturbations.corruptions.severity import Severity, interpolated
from withstand.perturbations.draws import Draws
from withstand.perturbations.names import full_name, short_name

Pixels = Literal[224, 299, 64, 32]
VALUES_AT_ONCE = 8 * 3 * 224 * 224  # of images that are corrupted together on a CPU


class Perturbation(Configuration, ABC):
    """A way to draw changed copies of an input.

    Contract of every subclass: a frozen keyword-only dataclass; the copies are detached, on the input's device and in
    its dtype, the same for the same `rng`; the input, the model (weights, gradients, mode, batch statistics) and the
    global generators are not changed.

    Attributes:
        images_only: Whether inputs must be images; but for augmentations, the copies lie on the grid of 8 bits.
        tables_only: Whether inputs must be rows of a table; copies may then also change its fixed features.
        needs_gradient: Whether it follows gradients of the model.
        needs_model: Whether copies depend on a model, so that the perturbation cannot be a transform.
        mixes_samples: Whether copies depend on other samples of the batch; for training only.
        operations: What it does itself to an input, such as the names in `conditions.OPERATIONS`; None is unknown.
        counted: Field whose value the name of a condition in a ball shows behind the class, such as PGD's steps.
    """

    images_only: ClassVar[bool] = False
    tables_only: ClassVar[bool] = False
    needs_gradient: ClassVar[bool] = False
    needs_model: ClassVar[bool] = False
    mixes_samples: ClassVar[bool] = False
    operations: ClassVar[frozenset[str] | None] = None
    counted: ClassVar[str] = ""

    @property
    def condition(self) -> str:
        """Short name for rows and tables, the same for equal fields: `Gaussian std=0.5`, or `linf 0.1, PGD-10`."""
        return short_name(self, counted=self.counted)

    @property
    def noise(self) -> str:
        """Name of the random stream: perturbations with the same name are compared under the same noise."""
        return full_name(self) if type(self).condition is Perturbation.condition else self.condition

    @abstractmethod
    def draw(self, x: Points, y: Targets, model: nn.Module, *, space: Space, num_draws: int, rng: Rng) -> Draws:
        """Return changed copies of the inputs.

        Args:
            x: Inputs; images in [0, 1]. The batch may be empty.
            y: Labels, or the targets of a regression, for worst-case perturbations.
            model: Maps inputs to logits, for perturbations that depend on it.
            space: The input space: copies are clipped to its box, and its fixed features stay unchanged.
            num_draws: Number of copies, at least 1.
            rng: Source of randomness: one for the batch, or one per row.
        """

    def check(self, space: Space) -> None:
        """Reject a space that the perturbation does not fit; called before training or evaluation starts.

        By default, `images_only` requires images, and every ball and perturbation among the fields is checked.

        Raises:
            InputError: If copies cannot be drawn for every batch of inputs in this space.
        """
        if self.images_only:
            check_images(type(self).__name__, (1, *space.shape))
        for part in self.held():
            part.check(space)

    @property
    def gradient_balls(self) -> tuple[Ball, ...]:
        """The balls in which the perturbation, or one that it holds, follows gradients of the model."""
        own = [(part,) * self.needs_gradient if isinstance(part, Ball) else part.gradient_balls for part in self.held()]
        return tuple(dict.fromkeys(sum(own, ())))

    def held(self) -> Iterator["Ball | Perturbation"]:
        """Yield the balls and perturbations among the fields."""
        for each in fields(self):  # type: ignore[arg-type]
            held = getattr(self, each.name)
            for part in held if isinstance(held, tuple) else (held,):
                if isinstance(part, Ball | Perturbation):
                    yield part

    @property
    def metadata(self) -> dict[str, str]:
        """The name of the condition as `id`, as MAITE has it."""
        return {"id": self.condition}

    @final
    @checked
    def __call__(
        self, image: Any, *, seed: Seed | None = None, index: int | Sequence[int] | None = None, rng: Rng | None = None
    ) -> Any:
        """Return a changed image of the same kind: as a transform, an augmentation or a function; see `transform`."""
        from withstand.perturbations.transform import transform

        return transform(self, image, seed=seed, index=index, rng=rng)

    @checked
    def tempered(self, temperature: Temperature) -> "Perturbation":
        """Return the perturbation with this temperature (in nats) wherever a field `temperature` is None."""
        changes: dict[str, Any] = {}
        for each in fields(self):  # type: ignore[arg-type]
            held = getattr(self, each.name)
            if each.name == "temperature" and held is None:
                changes[each.name] = temperature
            elif isinstance(held, Perturbation):
                changes[each.name] = held.tempered(temperature)
            elif isinstance(held, tuple) and any(isinstance(part, Perturbation) for part in held):
                changes[each.name] = tuple(part.tempered(temperature) for part in held)
        return replace(self, **changes) if changes else self  # type: ignore[type-var]

    @classmethod
    @abstractmethod
    def examples(cls) -> list["Perturbation"]:
        """Return a few small instances, on which the contract tests run."""


@dataclass(frozen=True, kw_only=True)
class Corruption(Perturbation):
    """A corruption of images, as in ImageNet-C: random parameters are sampled first, then applied deterministically.

    Images have 1 or 3 channels. Results are multiples of 1/255, like the published images.

    Between the published severities, parameters are interpolated; see `between`.

    Attributes:
        severity: From 1 to 5; 1, 2, 3, 4 and 5 are published. A higher severity is not harder for every corruption.
        pixels: Image size whose published parameters apply, one of `tables`: in ImageNet-C 224, 299, 64 or 32. None
            takes the image's own size, which must then be one of these.

    Source:
        Hendrycks, Dietterich: "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", ICLR
        2019, arXiv 1903.12261; hendrycks/robustness, ImageNet-C/create_c/make_imagenet_c.py and its siblings for
        299, 64 and 32 pixels.
        Differs: severities that are not whole are ours.
    """

    images_only: ClassVar[bool] = True
    tables: ClassVar[dict[int, Sequence[Any]]]
    whole: ClassVar[tuple[int, ...]] = ()  # places of the parameters that are whole numbers: lengths, counts
    severity: Severity = 3
    pixels: Pixels | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        severity = float(self.severity)
        object.__setattr__(self, "severity", int(severity) if severity.is_integer() else severity)
        if self.pixels is not None and self.pixels not in self.tables:
            who, known = type(self).__name__, ", ".join(map(str, self.tables))
            raise InputError(f"{who}: parameters are known for {known} pixels, got pixels {self.pixels}.")

    @property
    def condition(self) -> str:
        """The corruption's published name and the severity, e.g. `gaussian_noise/3`."""
        return f"{self.published_name()}/{self.severity}"

    @property
    def noise(self) -> str:
        """The condition at the published severity below: severities from it up to the next share their noise."""
        below = int(self.severity)
        return self.condition if below == self.severity else replace(self, severity=below).noise

    def check(self, space: Space) -> None:
        """Reject inputs that are not images, and sizes without parameters."""
        super().check(space)
        self.published(*space.shape[1:])

    @classmethod
    def published_name(cls) -> str:
        """Return the name in its suite, e.g. `gaussian_noise`."""
        return "".join("_" + c.lower() if c.isupper() else c for c in cls.__name__).lstrip("_")

    @classmethod
    def num_severities(cls) -> int:
        """Return the number of published severities: 5, or 1 for MNIST-C."""
        return min(map(len, cls.tables.values()))

    def sample(self, shape: Sequence[int], *, rng: Rng, device: Device | None = None) -> Any:
        """Return the random parameters for a batch of the given shape (batch, channel, height, width).

        Returns:
            A tensor whose first axis is the batch, a tuple of such tensors, or None (the default) if nothing is random.
        """
        return None

    @abstractmethod
    def corrupt(self, x: Images, parameters: Any) -> Images:
        """Return the corrupted images in [0, 1], before they are floored to 8 bits; deterministic.

        Args:
            x: Images in [0, 1].
            parameters: From `sample`, or of the same form but from other random numbers.
        """

    def corrupt_levels(self, levels: Levels, parameters: Any) -> Levels:
        """Return the corrupted images in whole levels: those of `corrupt`, floored; on a CPU some work in 8 bits."""
        x = levels.new_empty(levels.shape, dtype=torch.float32)
        for plane, channel in zip(x.unbind(1), levels.unbind(1), strict=True):  # faster if channels are interleaved
            plane.copy_(channel)
        floored = torch.add(x.new_tensor(1e-3), self.corrupt(x.div_(255), parameters), alpha=255, out=x)
        return truncated(floored)

    @final
    def draw(self, x: Points, y: Targets, model: nn.Module, *, space: Space, num_draws: int, rng: Rng) -> Draws:
        """Sample and corrupt, once per draw; on a CPU a few images at a time, which then stay in its cache."""
        check_images(type(self).__name__, x.shape)
        x = x.detach()
        copies = x.new_empty(num_draws, *x.shape)
        for copy in copies if len(x) else ():  # some libraries refuse an empty batch
            for part, parameters in self._parts(x, rng):
                # In [0, 1], so whole levels need no clipping.
                corrupted = self.corrupt(x[part], parameters)
                torch.add(x.new_tensor(1e-3), corrupted, alpha=255, out=copy[part]).floor_().div_(255)
        return Draws(copies)

    @final
    def draw_levels(self, levels: Levels, *, rng: Rng) -> Levels:
        """Return one corrupted copy of images in whole levels, equal to that of `draw`."""
        check_images(type(self).__name__, levels.shape)
        parts = [self.corrupt_levels(levels[part], own) for part, own in self._parts(levels, rng)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _parts(self, x: Tensor, rng: Rng) -> Iterator[tuple[slice, Any]]:
        """Yield a few images at a time, all at once on a GPU, and their random parameters."""
        some = max(1, VALUES_AT_ONCE // max(1, x[:1].numel())) if x.device.type == "cpu" else len(x)
        # Sources for a whole batch draw for all of it at once, since the order of their numbers counts.
        whole = None if isinstance(rng, RowStreams) else self.sample(x.shape, rng=rng, device=x.device)
        for start in range(0, len(x), some):
            part = slice(start, min(start + some, len(x)))
            if isinstance(rng, RowStreams):
                own = rng if len(x) <= some else rng.subset(torch.arange(part.start, part.stop))
                yield part, self.sample(x[part].shape, rng=own, device=x.device)
            else:
                yield part, _rows_of(whole, part)

    def published(self, height: int, width: int) -> Any:
        """Return the published parameters for images of this size, interpolated between published severities."""
        pixels = self.pixels
        if pixels is None:
            if height != width or height not in self.tables:
                known = ", ".join(map(str, self.tables))
                raise InputError(
                    f"{type(self).__name__}: parameters are published for {known} pixels; images of "
                    f"{height} x {width} need the field pixels."
                )
            pixels = height
        below = int(self.severity)
        low, *higher = self.tables[pixels][below - 1 :]
        return self.between(low, higher[0], self.severity - below) if below < self.severity else low

    @classmethod
    def between(cls, low: Any, high: Any, share: float) -> Any:
        """Return the parameters at a share, above 0 and below 1, of the way between two published severities.

        They are interpolated linearly; see `interpolated`.
        """
        return interpolated(low, high, share, whole=cls.whole)

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """Return the mildest and the strongest severity with the parameters for the smallest size."""
        severities = dict.fromkeys((1, cls.num_severities()))
        return [cast(Any, cls)(severity=each, pixels=min(cls.tables)) for each in severities]


def check_images(who: str, shape: Sequence[int]) -> None:
    """Reject inputs that are not images.

    Raises:
        InputError: If the shape is not (batch, 1 or 3 channels, height, width).
    """
    if len(shape) != 4 or shape[1] not in (1, 3):
        raise InputError(
            f"{who}: inputs must be images (batch, 1 or 3 channels, height, width), got shape {tuple(shape)}."
        )


def _rows_of(parameters: Any, part: slice) -> Any:
    if isinstance(parameters, tuple):
        return tuple(_rows_of(each, part) for each in parameters)
    return None if parameters is None else parameters[part]
