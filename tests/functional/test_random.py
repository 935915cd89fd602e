import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from withstand.functional.partition import partition
from withstand.functional.random import (
    BatchStream,
    RowStreams,
    derive_seed,
    integers,
    normal,
    row_streams,
    stream,
    uniform,
)

SHARES = st.lists(st.floats(0.1, 10), min_size=1, max_size=4)


def make():
    return stream(0, "x")


def sources(batch):
    return [make(), BatchStream(make, total=batch), row_streams(0, "x", index=torch.arange(batch))]


def test_seeds_depend_on_seed_names_and_their_order():
    seeds = [
        derive_seed(0),
        derive_seed(1),
        derive_seed(0, "a"),
        derive_seed(0, "a", "b"),
        derive_seed(0, "b", "a"),
        derive_seed(0, "ab"),
        derive_seed(0, 1),
        derive_seed(0, "1"),
    ]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeds_and_streams_are_the_same_in_every_version():
    assert derive_seed(0, "data/order", 1) == 7553573629388791830
    streams = row_streams(0, "clean", index=torch.tensor([5]))
    assert streams.generators[0].initial_seed() == 2269851683243401715


@pytest.mark.parametrize("number", [0, 1, 2], ids=["generator", "batch", "rows"])
@pytest.mark.parametrize("draw", [uniform, normal])
def test_numbers_are_float32_repeatable_and_of_the_shape_asked_for(draw, number):
    first = draw((6, 2, 3), rng=sources(6)[number])
    assert first.shape == (6, 2, 3)
    assert first.dtype == torch.float32
    assert torch.equal(first, draw((6, 2, 3), rng=sources(6)[number]))


@pytest.mark.parametrize("number", [0, 1, 2], ids=["generator", "batch", "rows"])
def test_every_source_draws_the_right_distribution(number):
    rng = sources(200)[number]
    u, n, i = uniform((200, 100), rng=rng), normal((200, 100), rng=rng), integers((200, 100), 2, 5, rng=rng)
    assert 0 <= u.min() < u.max() < 1
    assert u.mean().item() == pytest.approx(0.5, abs=0.01)
    assert n.std().item() == pytest.approx(1.0, abs=0.02)
    assert n.mean().item() == pytest.approx(0.0, abs=0.02)
    assert i.dtype == torch.int64
    assert i.unique(return_counts=True)[1].tolist() == pytest.approx([20000 / 3] * 3, rel=0.05)
    assert i.unique().tolist() == [2, 3, 4]


def test_a_row_of_row_streams_depends_on_its_index_only():
    whole = uniform((6, 4), rng=RowStreams(9, torch.arange(6)))
    chosen = torch.tensor([4, 1])
    assert torch.equal(uniform((2, 4), rng=RowStreams(9, chosen)), whole[chosen])


def test_neighbouring_rows_and_bases_are_uncorrelated():
    rows = normal((300, 200), rng=RowStreams(0, torch.arange(300)))
    between_rows = torch.corrcoef(rows).fill_diagonal_(0).abs().max().item()
    assert between_rows < 0.4
    assert not torch.equal(rows, normal((300, 200), rng=RowStreams(1, torch.arange(300))))
    # The first number of each stream is as uniform as the others.
    first = uniform((2000, 1), rng=RowStreams(0, torch.arange(2000)))[:, 0]
    assert first.sort().values.sub(torch.linspace(0, 1, 2000)).abs().max().item() < 0.04


def test_a_subset_of_row_streams_goes_on_where_the_whole_stands():
    once = RowStreams(3, torch.arange(5))
    first, second = uniform((5, 2), rng=once), uniform((5, 2), rng=once)
    again = RowStreams(3, torch.arange(5))
    assert torch.equal(uniform((5, 2), rng=again), first)
    rows = torch.tensor([3, 0])
    assert torch.equal(uniform((2, 2), rng=again.subset(rows)), second[rows])


@given(total=st.integers(1, 12), data=st.data())
def test_processes_of_a_batch_stream_draw_what_one_process_draws(total, data):
    border = data.draw(st.integers(0, total))
    whole = normal((total, 3), rng=make())
    parts = [
        normal((stop - start, 3), rng=BatchStream(make, start=start, stop=stop, total=total))
        for start, stop in ((0, border), (border, total))
    ]
    assert torch.equal(torch.cat(parts), whole)


@given(shares=SHARES, batch=st.integers(0, 40))
def test_parts_of_one_source_have_exactly_their_shares(shares, batch):
    parts = partition(shares, batch, rng=make())
    for share, (rows, _) in zip(shares, parts, strict=True):
        assert abs(len(rows) - batch * share / sum(shares)) <= 1 + 1e-9


@given(shares=SHARES, batch=st.integers(0, 40), number=st.sampled_from([0, 1, 2]))
def test_parts_are_disjoint_complete_and_ascending(shares, batch, number):
    parts = partition(shares, batch, rng=sources(batch)[number])
    assert torch.equal(torch.cat([rows for rows, _ in parts]).sort().values, torch.arange(batch))
    assert all(torch.equal(rows, rows.sort().values) for rows, _ in parts)


@given(border=st.integers(0, 10))
def test_processes_of_a_batch_stream_share_the_parts_of_the_whole(border):
    whole = partition((2, 1), 10, rng=make())
    halves = [
        partition((2, 1), stop - start, rng=BatchStream(make, start=start, stop=stop, total=10))
        for start, stop in ((0, border), (border, 10))
    ]
    for part in (0, 1):
        rows = torch.cat([halves[0][part][0], halves[1][part][0] + border])
        assert torch.equal(rows, whole[part][0])
        drawn = normal((len(rows), 2), rng=whole[part][1])
        again = [normal((len(half[part][0]), 2), rng=half[part][1]) for half in halves]
        assert torch.equal(torch.cat(again), drawn)
        # The two processes hold separate generators, which both stand behind the whole part now.
        assert halves[0][part][1].total == halves[1][part][1].total == len(rows)


def test_rows_of_row_streams_choose_with_the_shares_as_probabilities():
    rng = row_streams(0, "x", index=torch.arange(5000))
    sizes = [len(rows) for rows, _ in partition((5, 3, 2), 5000, rng=rng)]
    assert sizes == pytest.approx([2500, 1500, 1000], rel=0.07)


def test_a_row_of_row_streams_chooses_its_part_whoever_is_beside_it():
    index = torch.arange(30)
    chosen = {
        int(index[row]): part
        for part, (rows, _) in enumerate(partition((1, 1), 30, rng=RowStreams(0, index)))
        for row in rows
    }
    some = torch.tensor([17, 4, 29, 0])
    for part, (rows, _) in enumerate(partition((1, 1), 4, rng=RowStreams(0, some))):
        assert all(chosen[int(some[row])] == part for row in rows)


def test_nothing_touches_the_global_generators(untouched_generators):
    with untouched_generators():
        for rng in sources(4):
            normal((4, 2), rng=rng)
            integers((4, 2), 0, 3, rng=rng)
            partition((1, 1), 4, rng=rng)
