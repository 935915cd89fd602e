"""Rules: repaired points are legal, inside, and stay as they are when repaired again."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from withstand.data.tables.rules import HOLE, Field, Rules

NAMES = ["a", "b", "c", "total", "count"]
KINDS = {"k": ("u", "v", "w")}


def fields() -> tuple[Field, ...]:
    numbers = [Field(name, (place,), is_whole=name == "count") for place, name in enumerate(NAMES)]
    numbers[0] = numbers[0]._replace(low=-2.0, high=3.0)
    numbers[1] = numbers[1]._replace(offset=1.0, scale=2.0)
    return (*numbers, Field("k", (5, 6, 7), levels=KINDS["k"]))


@st.composite
def comparisons(draw) -> str:
    terms = st.sampled_from([*NAMES, "2", "abs(a)", "(a + b)", "a * b", "min(a, c)", "count - 1", "b / 3"])
    left, right = draw(st.sampled_from(NAMES)), draw(terms)
    return f"{left} {draw(st.sampled_from(['<=', '<', '>=', '==', '!=']))} {right}"


@st.composite
def texts(draw) -> str:
    one = draw(comparisons())
    kind = draw(st.sampled_from(["plain", "or", "and", "if", "not", "category"]))
    if kind in ("or", "and"):
        return f"{one} {kind} {draw(comparisons())}"
    if kind == "if":
        return f"if {one}: {draw(comparisons())}"
    if kind == "category":
        return f"if k == '{draw(st.sampled_from(KINDS['k']))}': {one}"
    return f"not {one}" if kind == "not" else one


def rows(number: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(number, 8, generator=generator, dtype=torch.float64) * 3
    x[:, 0] = x[:, 0].clamp(-2, 3)
    x[:, 4] = x[:, 4].round()
    x[:, 5:] = torch.eye(3, dtype=torch.float64)[torch.randint(0, 3, (number,), generator=generator)]
    x[::7, 2] = HOLE
    return x


@given(found=st.lists(texts(), min_size=1, max_size=4), seed=st.integers(0, 1000))
def test_repaired_points_are_legal_inside_and_repaired_again_the_same(found, seed):
    equalities = [text for text in found if " == " in text and text[0] != "i"]
    rules = Rules(fields=fields(), texts=tuple(text for text in found if text not in equalities[1:]))
    x = rows(60, seed)
    points = x + torch.randn(x.shape, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    points[:, 5:] = x[torch.randperm(60, generator=torch.Generator().manual_seed(seed)), 5:]
    points[:, 2] = torch.where(x[:, 2] == HOLE, HOLE, points[:, 2])

    def is_inside(each):
        return ((each - x)[:, :4].abs() <= 3).all(1) | (each == x).all(1)

    repaired = rules.repair(x, points, is_inside)
    legal = rules.are_legal(x)
    assert rules.are_legal(repaired)[legal].all()
    assert is_inside(repaired).all()
    assert torch.equal(repaired[~legal], x[~legal])
    assert torch.equal(rules.repair(x, repaired, is_inside), repaired)
    stays = rules.are_legal(points) & is_inside(points) & legal
    assert torch.equal(repaired[stays], points[stays])
    moved = repaired[:, 4]
    assert torch.equal(moved, moved.round())


def test_the_column_of_an_equality_follows_the_others():
    rules = Rules(fields=fields(), texts=("total == a + b",))
    x = torch.tensor([[1.0, 0.5, 0.0, 3.0, 2.0, 1.0, 0.0, 0.0]], dtype=torch.float64)  # b is 2 in its own units
    points = x + torch.tensor([[1.0, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    assert rules.derived == (3,)
    assert rules.repair(x, points, lambda each: each[:, 0] > 0)[0, 3] == 4.5
