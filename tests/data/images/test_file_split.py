import logging
import os
import signal

import numpy as np
import pytest
import torch
from PIL import Image

from withstand.data.images.file_split import FileSplit
from withstand.errors import InputError, TrainingError

# A machine with one core warns that two workers are more than it has.
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for k in range(12):
        pixels = rng.integers(0, 256, (40 + k, 60 - k, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{k}.{'jpg' if k % 2 else 'png'}")
    return folder


def make(folder, files=None, **options):
    files = files or [f"{k}.{'jpg' if k % 2 else 'png'}" for k in range(12)]
    y = torch.arange(len(files)) % 3
    defaults = {"classes": ("a", "b", "c"), "pixels": 24, "resize": 32}
    return FileSplit("Who", folder=folder, files=files, y=y, **(defaults | options))


def fetch(split, size=5, order=None, **options):
    order = torch.arange(len(split)) if order is None else order
    batches = list(split.batches(order.split(size), **options))
    place = torch.cat([batch.number for batch in batches]).argsort()
    return [torch.cat(parts)[place] for parts in list(zip(*batches, strict=True))[:3]]


def test_batches_follow_the_plan(folder):
    plan = [torch.tensor([3, 1]), torch.tensor([7]), torch.tensor([0, 0, 11])]
    batches = list(make(folder).batches(plan))
    assert [batch.number.tolist() for batch in batches] == [[3, 1], [7], [0, 0, 11]]
    assert [batch.y.tolist() for batch in batches] == [[0, 1], [1], [0, 0, 2]]
    assert batches[0].x.shape == (2, 3, 24, 24)
    assert batches[0].x.dtype == torch.float32


def test_values_are_exactly_255ths(folder):
    x, _, _ = fetch(make(folder))
    k = (x.double() * 255).round()
    assert torch.equal((k / 255).float(), x)
    assert k.unique().numel() > 200


@pytest.mark.parametrize("seed", [None, 5])
def test_no_and_two_workers_and_any_batches_give_the_same(folder, seed):
    split = make(folder)
    expected = fetch(split, augmentation_seed=seed)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    for size, num_workers in ((12, 0), (1, 0), (4, 2), (5, 2)):
        found = fetch(split, size, order, num_workers=num_workers, augmentation_seed=seed)
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_augmentation_depends_on_the_seed_and_on_the_number_in_the_whole_list(folder):
    split = make(folder)
    x = fetch(split, augmentation_seed=1)[0]
    assert not torch.equal(x, fetch(split, augmentation_seed=2)[0])
    assert not torch.equal(x, fetch(split)[0])
    rows = torch.tensor([2, 5, 9])
    part = split.select(rows)
    found = fetch(part, augmentation_seed=1)
    assert torch.equal(found[0], x[rows])
    assert torch.equal(found[1], split.y[rows])
    assert found[2].tolist() == [2, 5, 9]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_no_global_generator_is_used(folder, untouched_generators, num_workers):
    with untouched_generators():
        fetch(make(folder), num_workers=num_workers, augmentation_seed=0)


@pytest.fixture
def damaged(tmp_path):
    Image.new("RGB", (40, 40), "red").save(tmp_path / "good.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)).save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:2000])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("not an image")
    return tmp_path


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("cut.jpg", r"image file is truncated.*"),
        ("empty.png", "it is empty"),
        ("text.png", "it is not an image"),
        ("none.png", "there is no such file"),
    ],
)
def test_a_bad_image_stops_with_one_sentence_that_names_it(damaged, name, reason, num_workers):
    split = make(damaged, ["good.png", name, "good.png"])
    with pytest.raises(InputError, match=rf"^Who: .*{name} cannot be read as an image \({reason}\)\.$") as caught:
        fetch(split, num_workers=num_workers)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_bad_images_can_be_left_out_and_are_counted_and_reported_once(damaged, num_workers, caplog):
    files = ["good.png", "cut.jpg", "good.png", "empty.png", "text.png", "good.png"]
    split = make(damaged, files, on_bad_image="skip")
    with caplog.at_level(logging.WARNING, logger="withstand"):
        for _ in range(2):
            x, y, index = fetch(split, size=2, num_workers=num_workers)
    assert index.tolist() == [0, 2, 5]
    assert y.tolist() == [0, 2, 2]
    assert len(x) == 3
    assert len(split.bad) == 3
    assert split.bad[3] == "it is empty"
    assert len(caplog.messages) == 3
    assert caplog.messages[1].endswith("empty.png cannot be read as an image (it is empty); it is left out.")


def test_a_batch_without_a_good_image_is_empty(damaged):
    split = make(damaged, ["empty.png", "text.png", "good.png"], on_bad_image="skip")
    batches = list(split.batches([torch.tensor([0, 1]), torch.tensor([2])]))
    assert [batch.number.tolist() for batch in batches] == [[], [2]]
    assert batches[0].x.shape == (0, *split.shape)


@pytest.mark.slow  # a death is noticed after seconds
def test_the_work_of_a_killed_worker_is_done_again(folder, tmp_path, monkeypatch, caplog):
    from withstand.data.images import file_split

    once = tmp_path / "once"
    normal = file_split.read_image

    def deadly(path, **options):
        if path.name == "6.png" and not once.exists():
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return normal(path, **options)

    expected = fetch(make(folder), 2)
    monkeypatch.setattr(file_split, "read_image", deadly)
    with caplog.at_level(logging.WARNING, logger="withstand"):
        found = fetch(make(folder), 2, num_workers=2)
    assert once.exists()
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert len(caplog.messages) == 1
    assert "is read again" in caplog.messages[0]


def test_workers_end_at_sigterm_and_leave_ctrl_c_to_their_parent(folder, tmp_path, monkeypatch):
    from withstand.data.images import file_split

    normal = file_split.read_image

    def telling(path, **options):
        handlers = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        (tmp_path / path.name).write_text(repr((handlers, blocked)))
        return normal(path, **options)

    monkeypatch.setattr(file_split, "read_image", telling)
    fetch(make(folder), num_workers=1)
    (told,) = {each.read_text() for each in tmp_path.iterdir()}
    assert told == repr(([signal.SIG_DFL, signal.SIG_IGN], set()))
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.slow  # a death is noticed after seconds
def test_a_worker_that_dies_again_and_again_is_an_error(folder, monkeypatch):
    from withstand.data.images import file_split

    monkeypatch.setattr(file_split, "read_image", lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(TrainingError, match="killed again and again"):
        fetch(make(folder), num_workers=1)


def test_identifiers_are_paths_by_the_number_that_batches_yield(folder):
    whole = make(folder)
    part = whole.select(torch.tensor([7, 2, 9]))
    for split in (whole, part, part.select(torch.tensor([2]))):
        identifiers = split.identifiers()
        for batch in split.batches(torch.arange(len(split)).split(2)):
            x, _, numbers = tuple(batch)[:3]
            for image, number in zip(x, numbers.tolist(), strict=True):
                alone = make(folder, files=[identifiers[number]])
                assert torch.equal(next(alone.batches([torch.tensor([0])])).x[0], image)
