import pytest
import torch
from torch import nn

from withstand.data.base import TensorSplit
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.lipschitz import Lipschitz
from withstand.models.mlp import MLP
from withstand.models.normalize import Normalize
from withstand.models.small_cnn import SmallCNN


def split_of(x):
    y = torch.zeros(len(x), dtype=torch.int64)
    return TensorSplit(x, y, classes=("a", "b", "c"), box=None)


def inputs(num_rows, *shape):
    return torch.randn(num_rows, *shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def bounds(measured):
    """A function that returns the rows of a model's bounds by measure."""

    def found(model, split, **fields):
        return {measure: row for (measure, _), row in measured(Lipschitz(**fields), model, split).items()}

    return found


def test_every_row_says_which_side_it_is_a_bound_from_and_they_are_in_order(bounds):
    rows = bounds(MLP(hidden=(20, 10)).build((6,), 3, seed=0), split_of(inputs(30, 6)))
    names = ["lipschitz_upper_product", "lipschitz_upper_eclipse", "lipschitz_upper_lipsdp"]
    names += ["lipschitz_lower", "lipschitz_local_median"]
    assert list(rows) == names
    values = [row.value for row in rows.values()]
    assert values == sorted(values, reverse=True)
    assert values[2] < 0.95 * values[0]
    assert {row.condition for row in rows.values()} == {"l2 to l2"}
    assert [row.count for row in rows.values()] == [1, 1, 1, 1, 30]


def test_all_agree_on_a_linear_model_in_input_units(bounds):
    linear = nn.Linear(2, 3)
    model = nn.Sequential(Normalize([0.5, -0.5], [0.1, 4.0]), linear)
    exact = torch.linalg.matrix_norm(linear.weight.detach().double() / torch.tensor([0.1, 4.0]), 2).item()
    for row in bounds(model, split_of(inputs(5, 2))).values():
        assert row.value == pytest.approx(exact, rel=1e-6)


def test_the_median_is_that_of_the_jacobians(bounds):
    model, x = MLP(hidden=(9, 9)).build((4,), 3, seed=1), inputs(11, 4)
    jacobians = [torch.autograd.functional.jacobian(lambda row: model(row[None])[0], row) for row in x]
    median = torch.stack([torch.linalg.matrix_norm(each, 2) for each in jacobians]).median().item()
    assert bounds(model, split_of(x), bounds=("local",))["lipschitz_local_median"].value == pytest.approx(median)


def test_images_are_taken_in_their_units(bounds):
    model = MLP(hidden=(12,)).build((1, 4, 4), 3, seed=0)
    rows = bounds(model, split_of(inputs(9, 1, 4, 4).sigmoid()), steps=50)
    weights = [each.weight.detach().double() for each in model.modules() if isinstance(each, nn.Linear)]
    product = 2 * torch.linalg.matrix_norm(weights[0], 2) * torch.linalg.matrix_norm(weights[1], 2)
    assert rows["lipschitz_upper_product"].value == pytest.approx(product.item())
    assert rows["lipschitz_lower"].value < rows["lipschitz_upper_lipsdp"].value < product


def test_no_pair_of_samples_is_steeper_than_the_upper_bounds_say(bounds):
    model, x = MLP(hidden=(16, 16)).build((3,), 3, seed=2), inputs(40, 3)
    rows = bounds(model, split_of(x), bounds=("lipsdp",))
    outputs = model.double()(x.double()).detach()
    quotients = torch.pdist(outputs) / torch.pdist(x.double())
    assert quotients.max() <= rows["lipschitz_upper_lipsdp"].value


def test_the_searches_are_named_where_they_differ_from_the_usual():
    assert Lipschitz(steps=50).conditions == ("l2 to l2 lipsdp 50 steps",)
    assert Lipschitz(climb_steps=7, num_starts=3).conditions == ("l2 to l2 climb 7 steps 3 starts",)
    assert Lipschitz(bounds=("product",), steps=50, climb_steps=7).conditions == ("l2 to l2",)


def test_every_process_finds_the_same():
    model, split = MLP(hidden=(8,)).build((4,), 3, seed=0), split_of(inputs(10, 4))
    evaluation = Lipschitz(steps=5, climb_steps=5)
    found = evaluation.measure(model, split, seed=0, engine=Engine())
    # What is said of the whole model comes from all samples, which every process has by then.
    numbers = evaluation.conclude(
        model,
        split,
        found.columns,
        state=evaluation.prepare(model, split, space=split.space, seed=0, engine=Engine()),
        engine=Engine(rank=1, world_size=2),
    )
    assert numbers == found.numbers
    assert numbers["l2 to l2 lipsdp 5 steps climb 5 steps 64 starts"]["lower"] > 0


def test_a_model_that_is_no_mlp_is_refused_in_one_sentence(bounds):
    split = split_of(inputs(4, 1, 8, 8))
    with pytest.raises(InputError, match=r"^Lipschitz: the model must be a chain of .*, got Conv2d\.$"):
        bounds(SmallCNN().build((1, 8, 8), 3, seed=0), split)
