"""What every perturbation promises, corruptions included."""

from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property

import pytest
import torch
from torch import Tensor, nn

from withstand.configuration import discover
from withstand.errors import InputError
from withstand.functional.random import BatchStream, RowStreams, stream
from withstand.perturbations.base import Draws, Perturbation
from withstand.perturbations.settle import within

BATCH, DRAWS = 4, 2
INDEX = torch.tensor([11, 3, 500, 0])
SHAPES = {"colour": (3, 32, 32), "grey": (1, 32, 32), "features": (5,)}
BOX = (0.0, 1.0)


def own_box(configuration: object) -> tuple[float, float] | None:
    """Return the box that a perturbation, or something it holds, was given."""
    if isinstance(configuration, tuple):
        return next((box for box in map(own_box, configuration) if box), None)
    if not is_dataclass(configuration):
        return None
    found = (
        getattr(configuration, each.name) if each.name == "box" else own_box(getattr(configuration, each.name))
        for each in fields(configuration)
    )
    return next((box for box in found if box), None)


@dataclass
class Case:
    """A perturbation, inputs, and the draws that several tests look at, made once."""

    perturbation: Perturbation
    shape: tuple[int, ...]

    @cached_property
    def x(self) -> Tensor:
        """Images on the grid of 8 bits, or features in the box."""
        generator = torch.Generator().manual_seed(0)
        if len(self.shape) == 3:
            # Smooth pictures with noise on them, so that blurs and edges have something to do.
            coarse = torch.rand((BATCH, self.shape[0], 4, 4), generator=generator)
            smooth = nn.functional.interpolate(coarse, size=self.shape[1:], mode="bilinear")
            noisy = smooth + 0.1 * torch.randn(smooth.shape, generator=generator)
            return noisy.clamp(0, 1).mul(255).round().div(255)
        x = torch.randn((BATCH, *self.shape), generator=generator)
        return x.clamp(*self.box) if self.box else x

    @cached_property
    def y(self) -> Tensor:
        return torch.arange(BATCH) % 4

    @cached_property
    def box(self) -> tuple[float, float] | None:
        return own_box(self.perturbation)

    @cached_property
    def model(self) -> nn.Module:
        """A model with everything that an attack could change: weights, gradients, statistics, modes."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            size = torch.Size(self.shape).numel()
            model = nn.Sequential(
                nn.Flatten(),
                nn.Linear(size, 8),
                nn.BatchNorm1d(8),
                nn.ReLU(),
                nn.Dropout(0.2),
                nn.Linear(8, 4),
            )
        model[4].eval()
        for each in model.parameters():
            each.grad = torch.full_like(each, 0.125)
        model[1].bias.requires_grad_(False)
        return model

    def draw(self, rng, *, rows: Tensor | slice = slice(None), num_draws: int = DRAWS) -> Draws:
        x, y = self.x[rows], self.y[rows]
        return self.perturbation.draw(x, y, self.model, num_draws=num_draws, rng=rng)

    @cached_property
    def one_source(self) -> tuple[Draws, bool]:
        """Draws from one generator, and whether they were random."""
        generator = stream(0, "one")
        before = generator.get_state()
        return self.draw(generator), not torch.equal(generator.get_state(), before)

    @cached_property
    def row_sources(self) -> Draws:
        return self.draw(RowStreams(0, INDEX))


def cases() -> list:
    found = []
    for cls in discover(Perturbation):
        for number, example in enumerate(cls.examples()):
            for name, shape in SHAPES.items():
                # For what takes images only one example is enough in grey.
                if example.images_only and (name == "features" or (name == "grey" and number == 0)):
                    continue
                settled = within(example, BOX) if name != "features" else example
                found.append(pytest.param((settled, shape), id=f"{cls.__name__}-{number}-{name}"))
    return found


@pytest.fixture(scope="module", params=cases())
def case(request) -> Case:
    return Case(*request.param)


def test_draws_have_the_shape_and_type_of_the_input_with_the_draws_in_front(case):
    for draws in (case.one_source[0], case.row_sources, case.draw(stream(0, "x"), num_draws=1)):
        assert draws.inputs.shape[1:] == case.x.shape
        assert draws.inputs.dtype == torch.float32
        assert draws.inputs.device == case.x.device
        assert draws.inputs.isfinite().all()
        if draws.log_weights is not None:
            assert draws.log_weights.shape == draws.inputs.shape[:2]
    assert len(case.one_source[0].inputs) == len(case.row_sources.inputs) == DRAWS


def test_draws_are_detached(case):
    x = case.x.clone().requires_grad_(True)
    draws = case.perturbation.draw(x, case.y, case.model, num_draws=1, rng=stream(0, "x"))
    assert not draws.inputs.requires_grad
    assert draws.log_weights is None or not draws.log_weights.requires_grad
    assert x.grad is None


def test_draws_stay_in_the_box(case):
    box = BOX if case.perturbation.images_only else case.box
    if len(case.shape) == 3 and box is None:
        assert not any(each.name == "box" for each in fields(case.perturbation)), "within() left a box open"
    for draws in (case.one_source[0], case.row_sources):
        if box is not None:
            assert draws.inputs.min() >= box[0]
            assert draws.inputs.max() <= box[1]
        if case.perturbation.images_only:
            levels = draws.inputs * 255
            assert (levels - levels.round()).abs().max() < 1e-4


def test_the_same_seed_gives_the_same_draws(case):
    assert torch.equal(case.draw(stream(0, "one")).inputs, case.one_source[0].inputs)
    assert torch.equal(case.draw(RowStreams(0, INDEX)).inputs, case.row_sources.inputs)


def test_another_seed_gives_other_draws_if_they_are_random(case):
    draws, is_random = case.one_source
    assert torch.equal(case.draw(stream(1, "one")).inputs, draws.inputs) != is_random
    assert torch.equal(case.draw(RowStreams(1, INDEX)).inputs, case.row_sources.inputs) != is_random
    if not is_random:
        assert torch.equal(draws.inputs, case.row_sources.inputs)
        assert torch.equal(draws.inputs[0], draws.inputs[1])


def test_nothing_else_changes(case, untouched_generators):
    model, x, y = case.model, case.x.clone(), case.y.clone()
    state = {name: each.clone() for name, each in model.state_dict().items()}
    gradients = [each.grad.clone() for each in model.parameters()]
    needs = [each.requires_grad for each in model.parameters()]
    modes = [each.training for each in model.modules()]
    with untouched_generators():
        case.draw(stream(5, "x"))
        case.draw(RowStreams(5, INDEX))
        with torch.no_grad():
            case.draw(RowStreams(5, INDEX), num_draws=1)
    assert torch.equal(case.x, x)
    assert torch.equal(case.y, y)
    assert all(torch.equal(each, state[name]) for name, each in model.state_dict().items())
    assert all(torch.equal(each.grad, grad) for each, grad in zip(model.parameters(), gradients, strict=True))
    assert [each.requires_grad for each in model.parameters()] == needs
    assert [each.training for each in model.modules()] == modes
    assert torch.is_grad_enabled()


def assert_same(part: Tensor, whole: Tensor, case: Case) -> None:
    """Bit for bit; attacks up to the rounding of the model, which changes with the size of the batch."""
    if type(case.perturbation).__module__.startswith("withstand.perturbations.attacks"):
        assert ((part - whole).abs() < 1e-5).float().mean() > 0.999
    else:
        assert torch.equal(part, whole)


def test_with_one_source_per_row_neighbours_do_not_matter(case):
    case.model.eval()
    try:
        whole = case.draw(RowStreams(0, INDEX)).inputs
        for rows in (torch.tensor([2]), torch.tensor([3, 0, 1])):
            part = case.draw(RowStreams(0, INDEX[rows]), rows=rows).inputs
            assert_same(part, whole[:, rows], case)
    finally:
        case.model.train()
        case.model[4].eval()


def test_processes_that_share_a_batch_draw_what_one_process_draws(case):
    def make() -> torch.Generator:
        return stream(0, "one")

    def share(start: int, stop: int) -> Tensor:
        rng = BatchStream(make, start=start, stop=stop, total=BATCH)
        return case.draw(rng, rows=slice(start, stop)).inputs

    whole = case.draw(BatchStream(make, total=BATCH)).inputs
    assert_same(torch.cat([share(0, 1), share(1, BATCH)], dim=1), whole, case)
    assert torch.equal(whole, case.one_source[0].inputs)


def test_conditions_are_short_and_differ_between_examples():
    names = [example.condition for cls in discover(Perturbation) for example in cls.examples()]
    assert len(set(names)) == len(names)
    assert all(name == name.strip() and "\n" not in name for name in names)


@pytest.mark.parametrize(
    "example",
    [each for cls in discover(Perturbation) if cls.images_only for each in cls.examples()],
    ids=lambda each: each.condition,
)
def test_what_takes_images_only_refuses_what_is_no_image(example):
    for shape in [(2, 5), (2, 4, 32, 32), (2, 32, 32)]:
        with pytest.raises(InputError, match="inputs must be images"):
            example.draw(
                torch.zeros(shape),
                torch.zeros(2, dtype=torch.long),
                nn.Identity(),
                num_draws=1,
                rng=stream(0, "x"),
            )
