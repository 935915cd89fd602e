"""What every objective promises."""

import copy
import io

import pytest
import torch
from torch import nn

from withstand.configuration import discover
from withstand.data.space import Space
from withstand.functional.random import BatchStream, stream
from withstand.models.mlp import MLP
from withstand.objectives.auxiliary_batch_norm import AuxiliaryBatchNorm
from withstand.objectives.base import Objective, Stateful

EXAMPLES = [
    pytest.param(example, id=f"{cls.__name__}-{number}")
    for cls in discover(Objective)
    for number, example in enumerate(cls.examples())
]
SPACE = Space(shape=(5,))
every_objective = pytest.mark.parametrize("objective", EXAMPLES)


def blobs(batch: int = 96):
    """Three Gaussian blobs in five dimensions."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(batch) % 3
    centres = 3 * torch.randn((3, 5), generator=generator)
    return centres[y] + torch.randn((batch, 5), generator=generator), y


def model_for(objective: Objective, shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """Return a network, with batch normalisation only where the objective needs it."""
    network = MLP(hidden=(16,)).build(shape, num_classes, seed=0)
    if isinstance(objective, AuxiliaryBatchNorm):
        network = nn.Sequential(network, nn.BatchNorm1d(num_classes))
    return network


class Run:
    """A model that follows an objective."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.x, self.y = blobs()
        self.model = model_for(objective, (5,), 3)
        self.state = objective.init(self.x[:1], model=self.model, rng=stream(0, "init"))
        trained = nn.ModuleList([self.model, objective.trained(self.state)])
        self.optimizer = torch.optim.Adam(trained.parameters(), lr=0.02)
        self.count = 0

    def step(self) -> float:
        rng = stream(0, "train", self.count)
        step = self.objective.step(self.model, self.x, self.y, space=SPACE, state=self.state, count=self.count, rng=rng)
        self.optimizer.zero_grad()
        step.loss.backward()
        self.optimizer.step()
        self.count += 1
        return step.loss.item()


@every_objective
def test_the_state_can_travel_in_a_checkpoint(objective):
    state = Run(objective).state
    assert isinstance(state, Stateful)
    buffer = io.BytesIO()
    torch.save(state.state_dict(), buffer)
    buffer.seek(0)
    torch.load(buffer, weights_only=True)


@every_objective
def test_the_loss_is_a_number_with_finite_gradients_for_every_parameter(objective):
    run = Run(objective)
    step = objective.step(run.model, run.x, run.y, space=SPACE, state=run.state, count=0, rng=stream(0, "x"))
    assert step.loss.shape == ()
    assert step.loss.dtype == torch.float32
    step.loss.backward()
    for name, each in run.model.named_parameters():
        assert each.grad is not None, f"{name} has no gradient"
        assert each.grad.isfinite().all()
        assert each.grad.any()
    assert not any(each.requires_grad for each in step.logs.values())


@pytest.mark.slow
@every_objective
def test_the_loss_falls_on_blobs_in_fifty_steps(objective):
    run = Run(objective)
    losses = [run.step() for _ in range(50)]
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])


@every_objective
def test_a_state_dict_there_and_back_gives_the_same_next_steps(objective):
    run = Run(objective)
    for _ in range(3):
        run.step()
    kept = copy.deepcopy((run.model.state_dict(), run.optimizer.state_dict(), run.state.state_dict()))
    other = Run(objective)
    for part, content in zip((other.model, other.optimizer, other.state), kept, strict=True):
        part.load_state_dict(content)
    other.count = run.count
    assert [other.step() for _ in range(3)] == [run.step() for _ in range(3)]
    assert all(torch.equal(each, other.model.state_dict()[name]) for name, each in run.model.state_dict().items())


@every_objective
def test_the_same_step_has_the_same_loss_and_leaves_global_generators_alone(objective, untouched_generators):
    with untouched_generators():
        first, second = Run(objective).step(), Run(objective).step()
    assert first == second


@every_objective
def test_inputs_and_labels_stay_as_they_are(objective):
    run = Run(objective)
    x, y = run.x.clone(), run.y.clone()
    run.step()
    assert torch.equal(run.x, x)
    assert torch.equal(run.y, y)


@every_objective
def test_processes_that_share_a_batch_follow_the_gradient_of_one_process(objective):
    run = Run(objective)
    if run.state.state_dict():
        pytest.skip("its state is trained by all processes together: see the test with two real ones")

    def gradient(start: int, stop: int) -> torch.Tensor:
        rng = BatchStream(lambda: stream(0, "x"), start=start, stop=stop, total=96)
        run.model.zero_grad()
        x, y = run.x[start:stop], run.y[start:stop]
        objective.step(run.model, x, y, space=SPACE, state=run.state, count=0, rng=rng).loss.backward()
        return torch.cat([each.grad.flatten() for each in run.model.parameters()])

    whole = gradient(0, 96)
    shared = (gradient(0, 32) * 32 + gradient(32, 96) * 64) / 96
    torch.testing.assert_close(shared, whole, rtol=1e-4, atol=1e-6)


@every_objective
def test_it_works_on_images_within_their_box(objective):
    model = nn.Sequential(nn.Flatten(), model_for(objective, (3 * 8 * 8,), 2))
    x, y = torch.rand((4, 3, 8, 8), generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 0, 1])
    space = Space.like(x, box=(0.0, 1.0))
    objective.check(space)
    state = objective.init(x[:1], model=model, rng=stream(0, "init"))
    assert objective.step(model, x, y, space=space, state=state, count=0, rng=stream(0, "x")).loss.isfinite()


@every_objective
def test_weights_that_are_all_one_change_nothing(objective):
    run, other = Run(objective), Run(objective)
    options = {"space": SPACE, "count": 0}
    plain = objective.step(run.model, run.x, run.y, state=run.state, rng=stream(0, "x"), **options)
    ones = torch.ones(len(run.x))
    weighted = objective.step(other.model, run.x, run.y, weight=ones, state=other.state, rng=stream(0, "x"), **options)
    torch.testing.assert_close(weighted.loss, plain.loss)
