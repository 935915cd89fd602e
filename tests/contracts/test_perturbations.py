"""What every perturbation promises, corruptions included."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import pytest
import torch
from torch import Tensor, nn

from withstand.configuration import discover
from withstand.data.space import Space
from withstand.data.tables.features import Features
from withstand.data.tables.rules import Field, Rules
from withstand.errors import InputError
from withstand.functional.changes import Change
from withstand.functional.random import BatchStream, RowStreams, stream
from withstand.perturbations.attacks.attack import Attack
from withstand.perturbations.base import Draws, Perturbation
from withstand.perturbations.mixing import mixes

BATCH, DRAWS = 4, 2
INDEX = torch.tensor([11, 3, 500, 0])
BOX = (0.0, 1.0)
# Of the table's features the third may not change, the fourth is one of two levels, and the fifth is counted.
TABLE = Features(
    names=("a", "b", "c", "d", "e"),
    columns=("a", "b", "c", "d", "e"),
    kinds=("continuous", "continuous", "continuous", "category", "integer"),
    movable=(True, True, False, False, False),
    offset=(0.0,) * 5,
    scale=(1.0, 2.0, 1.0, 1.0, 1.0),
    iqr=(1.0,) * 5,
    changes=(Change((3,), ((0.0,), (1.0,))), Change((4,), ((0.0,), (1.0,)), added=True)),
)
# Narrow enough that free draws break it: where d is 1, e is low; a and b are near each other, and a is limited.
RULES = Rules(
    fields=tuple(
        Field(name, (place,), scale=TABLE.scale[place], low=-1.6 if name == "a" else None)
        for place, name in enumerate(TABLE.names)
    ),
    texts=("if d > 0.9: e <= 0", "b <= a + 2.5", "b >= a - 2.5"),
)
SPACES = {
    "colour": Space(shape=(3, 32, 32), box=BOX, num_classes=4),
    "grey": Space(shape=(1, 32, 32), box=BOX, num_classes=4),
    "features": Space(shape=(5,), num_classes=4),
    "table": Space(shape=(5,), features=TABLE, num_classes=4),
    "ruled": Space(shape=(5,), features=TABLE, rules=RULES, num_classes=4),
}


@dataclass
class Case:
    """A perturbation, inputs, and the draws that several tests look at, made once."""

    perturbation: Perturbation
    space: Space

    @cached_property
    def x(self) -> Tensor:
        """Images on the grid of 8 bits, or features."""
        generator = torch.Generator().manual_seed(0)
        shape = self.space.shape
        if len(shape) == 3:
            # Smooth pictures with noise on them, so that blurs and edges have something to do.
            coarse = torch.rand((BATCH, shape[0], 4, 4), generator=generator)
            smooth = nn.functional.interpolate(coarse, size=shape[1:], mode="bilinear")
            noisy = smooth + 0.1 * torch.randn(smooth.shape, generator=generator)
            return noisy.clamp(0, 1).mul(255).round().div(255)
        x = torch.randn((BATCH, *shape), generator=generator)
        if self.space.features is not None:
            x[:, 3] = torch.tensor([0.0, 1.0, 0.5, 0.0])
        return x

    @cached_property
    def y(self) -> Tensor:
        return torch.arange(BATCH) % 4

    @cached_property
    def model(self) -> nn.Module:
        """A model with everything that an attack could change: weights, gradients, statistics, modes."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            size = torch.Size(self.space.shape).numel()
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
        return self.perturbation.draw(x, y, self.model, space=self.space, num_draws=num_draws, rng=rng)

    @cached_property
    def one_source(self) -> tuple[Draws, bool]:
        """Draws from one generator, and whether they were random."""
        generator = stream(0, "one")
        before = generator.get_state()
        return self.draw(generator), not torch.equal(generator.get_state(), before)

    @cached_property
    def row_sources(self) -> Draws:
        return self.draw(RowStreams(0, INDEX))


# What kernels and samplers call of other libraries, of which some refuse an empty batch on some machines.
LIBRARIES = {
    torch.fft: ("fft", "ifft", "rfft", "irfft", "fft2", "ifft2", "rfft2", "irfft2"),
    nn.functional: ("conv1d", "conv2d", "interpolate", "grid_sample", "pad", "avg_pool2d", "unfold", "fold"),
    torch: ("conv2d", "bmm", "baddbmm"),
}


def refusing_nothing(function: Callable) -> Callable:
    def picky(*arguments, **options):
        for each in (*arguments, *options.values()):
            assert not isinstance(each, Tensor) or each.numel(), f"{function.__name__} was given an empty tensor"
        return function(*arguments, **options)

    return picky


def cases() -> list:
    found = []
    for cls in discover(Perturbation):
        for number, example in enumerate(cls.examples()):
            for name, space in SPACES.items():
                # For what takes images only one example is enough in grey.
                if example.images_only and (len(space.shape) == 1 or (name == "grey" and number == 0)):
                    continue
                if example.tables_only and name != "table":
                    continue
                is_slow = name in ("grey", "features") and not example.images_only
                is_slow |= name == "ruled" and (number > 0 or "attacks" in cls.__module__)
                marks = pytest.mark.slow if is_slow else ()
                found.append(pytest.param((example, space), id=f"{cls.__name__}-{number}-{name}", marks=marks))
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
        if draws.targets is not None:
            assert draws.targets.shape == (*draws.inputs.shape[:2], 4)
            assert draws.targets.min() >= 0
            assert torch.allclose(draws.targets.sum(2), torch.ones(()))
    assert len(case.one_source[0].inputs) == len(case.row_sources.inputs) == DRAWS


def test_draws_are_detached(case):
    x = case.x.clone().requires_grad_(True)
    draws = case.perturbation.draw(x, case.y, case.model, space=case.space, num_draws=1, rng=stream(0, "x"))
    assert not draws.inputs.requires_grad
    assert draws.log_weights is None or not draws.log_weights.requires_grad
    assert x.grad is None


def test_draws_stay_in_the_space(case):
    case.perturbation.check(case.space)
    for draws in (case.one_source[0], case.row_sources):
        if case.space.box is not None:
            assert draws.inputs.min() >= case.space.box[0]
            assert draws.inputs.max() <= case.space.box[1]
        if case.perturbation.images_only and "augmentations" not in type(case.perturbation).__module__:
            levels = draws.inputs * 255
            assert (levels - levels.round()).abs().max() < 1e-4
        if case.perturbation.tables_only:  # errors happen in every column
            assert set(draws.inputs[..., 3].unique().tolist()) <= {0.0, 0.5, 1.0}
        elif case.space.features is not None:
            assert torch.equal(draws.inputs[..., 2], case.x[:, 2].expand(DRAWS, -1))
            moved = draws.inputs[..., 3:] - case.x[:, 3:]
            assert torch.equal(moved[:, 2, 0], torch.zeros(DRAWS)), "a row without an allowed level got one"
            assert set(moved[..., 1].round(decimals=5).unique().tolist()) <= {0.0, 1.0}


def test_draws_of_legal_rows_are_legal(case):
    rules = case.space.rules
    if rules is not None:
        legal = rules.are_legal(case.x)
        assert 0 < legal.sum() < BATCH
        for draws in (case.one_source[0], case.row_sources, case.draw(stream(0, "x"), num_draws=20)):
            assert rules.are_legal(draws.inputs)[:, legal].all()
            assert torch.equal(draws.inputs[:, ~legal], case.x[~legal].expand(len(draws.inputs), -1, -1))


def test_of_no_input_there_are_no_draws_and_no_library_is_asked(case, monkeypatch):
    for module, names in LIBRARIES.items():
        for name in names:
            monkeypatch.setattr(module, name, refusing_nothing(getattr(module, name)))

    class Picky(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            assert len(x), "the model was given no input"
            return case.model(x)

    nothing, y = case.x[:0], case.y[:0]
    for rng in (
        stream(0, "x"),
        RowStreams(0, INDEX[:0]),
        BatchStream(lambda: stream(0, "x"), start=2, stop=2, total=4),
    ):
        draws = case.perturbation.draw(nothing, y, Picky(), space=case.space, num_draws=DRAWS, rng=rng)
        assert draws.inputs.shape == (DRAWS, *nothing.shape)
        assert draws.inputs.dtype == torch.float32


def test_the_same_seed_gives_the_same_draws(case):
    assert torch.equal(case.draw(stream(0, "one")).inputs, case.one_source[0].inputs)
    assert torch.equal(case.draw(RowStreams(0, INDEX)).inputs, case.row_sources.inputs)


def test_another_seed_gives_other_draws_if_they_are_random(case):
    draws, is_random = case.one_source
    if isinstance(case.perturbation, Attack):  # from wherever a search starts, it may end at the same point
        return
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
    if mixes(case.perturbation):
        return
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
    if mixes(case.perturbation):
        return

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
    assert all(name == name.strip() and "\n" not in name and len(name) < 100 for name in names)


@pytest.mark.parametrize(
    "example",
    [each for cls in discover(Perturbation) if cls.images_only for each in cls.examples()],
    ids=lambda each: each.condition,
)
def test_what_takes_images_only_refuses_what_is_no_image(example):
    for shape in [(2, 5), (2, 4, 32, 32), (2, 32, 32)]:
        with pytest.raises(InputError, match="inputs must be images"):
            example.check(Space(shape=shape[1:]))
        with pytest.raises(InputError, match="inputs must be images"):
            example.draw(
                torch.zeros(shape),
                torch.zeros(2, dtype=torch.long),
                nn.Identity(),
                space=Space(shape=shape[1:]),
                num_draws=1,
                rng=stream(0, "x"),
            )


@pytest.mark.parametrize(
    "example",
    [each for cls in discover(Perturbation) if cls.tables_only for each in cls.examples()],
    ids=lambda each: each.condition,
)
def test_what_takes_tables_only_refuses_inputs_without_columns(example):
    for name in ("colour", "features"):
        space = SPACES[name]
        with pytest.raises(InputError, match=f"{type(example).__name__}: inputs must be rows of a table"):
            example.check(space)
        x, y = torch.zeros(2, *space.shape), torch.zeros(2, dtype=torch.long)
        with pytest.raises(InputError, match="inputs must be rows of a table"):
            example.draw(x, y, nn.Identity(), space=space, num_draws=1, rng=stream(0, "x"))
