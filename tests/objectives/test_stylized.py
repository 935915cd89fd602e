"""Stylized images: the right number, the right labels, the same ones after a resume and on several processes."""

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from withstand.data.images.image_folder import ImageFolder
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.functional.random import BatchStream, stream
from withstand.models.small_cnn import SmallCNN
from withstand.objectives.adversarial_noise import AdversarialNoise
from withstand.objectives.stylized import Stylized
from withstand.training.checkpoint import Keeper
from withstand.training.optimizers import SGD
from withstand.training.settings import Training
from withstand.training.trainer import Trainer

LEVELS = {"a": 250, "b": 10, "c": 128}  # the grey of each class's stylized images, so that a crop tells the class
SPACE = Space(shape=(3, 8, 8), box=(0.0, 1.0))


def write(root, levels, number):
    generator = np.random.default_rng(0)
    for name, level in levels.items():
        (root / "train" / name).mkdir(parents=True)
        for each in range(number):
            noise = 0 if level is not None else generator.integers(0, 256, (12, 14, 3))
            pixels = np.full((12, 14, 3), level or 0, dtype=np.uint8) + np.asarray(noise, dtype=np.uint8)
            Image.fromarray(pixels).save(root / "train" / name / f"{each}.png")
    return root


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "stylized", LEVELS, 4)


@pytest.fixture
def photos(tmp_path):
    return write(tmp_path / "photos", dict.fromkeys("abc"), 9)


def source(folder, **fields):
    fields = {"shape": (3, 8, 8), "ratio": 0.5, "seed": 3} | fields
    return Stylized(str(folder), **fields)


def draw(images, count, size=20):
    return images.share(torch.zeros(size, 3, 8, 8), count=count, rng=stream(0, "x"))


class Watched(nn.Module):
    """A classifier that keeps what it is given in training."""

    def __init__(self, num_classes=3):
        super().__init__()
        weights = torch.randn((3 * 8 * 8, num_classes), generator=torch.Generator().manual_seed(0))
        self.weights, self.seen = nn.Parameter(weights / 4), []

    def forward(self, x):
        if self.training:
            self.seen.append(x.detach().clone())
        return x.flatten(1) @ self.weights


def test_images_are_shown_with_the_labels_of_their_folders(folder):
    shares = [draw(source(folder), count) for count in range(6)]
    x, y = torch.cat([each.x for each in shares]), torch.cat([each.y for each in shares])
    assert x.shape == (60, 3, 8, 8)
    assert set(y.tolist()) == {0, 1, 2}
    assert torch.equal(x, (torch.tensor(list(LEVELS.values()))[y] / 255).view(-1, 1, 1, 1).expand_as(x))


def test_a_step_has_the_same_images_whatever_was_drawn_before(folder, photos):
    whole = source(photos)
    one_after_the_other = [draw(whole, count) for count in range(8)]
    for count in (5, 0, 7, 2):
        assert torch.equal(draw(source(photos), count).x, one_after_the_other[count].x)
    assert not torch.equal(one_after_the_other[0].x, one_after_the_other[1].x)
    assert not torch.equal(draw(source(photos, seed=4), 0).x, one_after_the_other[0].x)


def test_an_image_is_cropped_differently_in_every_step(tmp_path):
    for name in "ab":
        (tmp_path / "train" / name).mkdir(parents=True)
        pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "train" / name / "only.png")
    shares = [draw(source(tmp_path, ratio=1.0), count) for count in range(3)]
    crops = [each.x[each.y == 0][0] for each in shares]
    assert not torch.equal(crops[0], crops[1])
    assert not torch.equal(crops[1], crops[2])


def test_another_seed_makes_what_was_read_ahead_worthless(photos):
    images = source(photos)
    draw(images, 0)
    images.seed = 9
    assert torch.equal(draw(images, 1).x, draw(source(photos, seed=9), 1).x)


def test_global_generators_are_left_alone(photos, untouched_generators):
    with untouched_generators():
        images = source(photos)
        for count in range(3):
            draw(images, count)


@pytest.mark.parametrize("borders", [[0, 20], [0, 7, 20], [0, 7, 13, 20], [0, 20, 20]])
def test_processes_share_the_images_and_follow_the_gradient_of_one(photos, borders):
    torch_rows = torch.rand((20, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20) % 3
    objective = AdversarialNoise(stylized=str(photos), stylized_ratio=0.5, radius=1.0)
    model = Watched()

    def gradient(start, stop):
        weight = (stop - start) / 20
        start, stop = (start, stop) if stop > start else (0, 1)
        rng = BatchStream(lambda: stream(0, "x"), start=start, stop=stop, total=20, weight=weight)
        state = objective.init(torch_rows[:1], model=model, rng=stream(0, "init"))
        # The generator's step is shared by real processes only: without it, theirs is the one of the beginning.
        state.optimizer.param_groups[0]["lr"] = 0.0
        model.zero_grad()
        step = objective.step(
            model, torch_rows[start:stop], labels[start:stop], space=SPACE, state=state, count=5, rng=rng
        )
        (weight * step.loss).backward()
        return torch.cat([each.grad.flatten() for each in model.parameters()])

    whole = gradient(0, 20)
    assert len(model.seen[-1]) == 30
    parts = [gradient(*pair) for pair in pairwise(borders)]
    torch.testing.assert_close(sum(parts), whole, rtol=1e-4, atol=1e-6)


def test_they_join_the_batch_clean_and_the_shares_of_noise_stay_those_of_the_data(folder):
    x = torch.rand((40, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    y = torch.arange(40) % 3
    fields = {"radius": 1.0, "clean_share": 0.25}
    plain, with_more = AdversarialNoise(**fields), AdversarialNoise(**fields, stylized=str(folder), stylized_ratio=0.25)
    seen = []
    for objective in (plain, with_more):
        model = Watched()
        state = objective.init(x[:1], model=model, rng=stream(0, "init"))
        objective.step(model, x, y, space=SPACE, state=state, count=0, rng=stream(0, "a"))
        seen.append(model.seen[-1])
    assert torch.equal(seen[1][:40], seen[0])
    assert len(seen[1]) == 50
    greys = {level / 255 for level in LEVELS.values()}
    assert {round(each, 6) for each in seen[1][40:].unique().tolist()} <= {round(each, 6) for each in greys}
    assert ((seen[0] - x).flatten(1).norm(dim=1) == 0).sum() == 10


def test_the_published_ratio_adds_15_to_55(folder):
    assert len(draw(source(folder, ratio=AdversarialNoise().stylized_ratio), 0, size=55).x) == 15


def test_the_seed_travels_in_the_state(folder):
    objective = AdversarialNoise(stylized=str(folder))
    x = torch.zeros(1, 3, 8, 8)
    one, other = (objective.init(x, model=Watched(), rng=stream(seed, "init")) for seed in (0, 1))
    assert one.stylized.seed != other.stylized.seed
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    assert one.stylized.seed == other.stylized.seed


class Stopped(Exception):
    """Stands for whatever ends a process."""


def trainer(photos, folder, num_workers=0):
    data = ImageFolder(root=str(photos), validation_share=0.0, pixels=8, resize=None)
    split = data.load("train")
    objective = AdversarialNoise(stylized=str(folder), stylized_ratio=0.5, restart_steps=2, radius=1.0)
    return Trainer(
        SmallCNN(width=2).build(split.shape, 3, seed=0),
        split,
        objective=objective,
        training=Training(epochs=3, batch_size=8, optimizer=SGD(lr=0.05)),
        seed=5,
        engine=Engine(num_workers=num_workers),
    )


@pytest.mark.parametrize("stop", [(0, 2), (1, 3), (2, 1)])  # (1, 3): the last step of an epoch, whose batch is smaller
def test_a_resumed_training_equals_one_that_was_not_stopped(photos, folder, tmp_path, stop):
    whole = trainer(photos, folder)
    assert whole.steps_per_epoch == 4
    whole.fit()
    first = trainer(photos, folder)
    keeper = Keeper(tmp_path / "kept", identity="")

    class Watch:
        def on_step(self, epoch, step, *_):
            if (epoch, step) == stop:
                keeper.save(first.state_dict)
                raise Stopped

        def on_epoch(self, _):
            pass

    with pytest.raises(Stopped):
        first.fit(watch=Watch())
    again = trainer(photos, folder, num_workers=2 if stop == (1, 3) else 0)
    again.fit(folder=tmp_path / "kept")
    assert again.history == whole.history
    ours, theirs = again.model.state_dict(), whole.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def refusal(make):
    with pytest.raises(InputError) as raised:
        make()
    sentence = str(raised.value)
    assert "\n" not in sentence
    return sentence


def test_a_folder_is_looked_for_as_written_and_then_under_the_data_root(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path))
    assert len(source("stylized").images.split.classes) == 3
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path / "elsewhere"))
    assert refusal(lambda: source("stylized")) == (
        f"AdversarialNoise: stylized must be a folder, found none at stylized or {tmp_path / 'elsewhere' / 'stylized'};"
        " say where with --objective.stylized DIR."
    )
    monkeypatch.chdir(tmp_path)
    assert len(source("stylized").images.split.classes) == 3


def test_what_cannot_be_is_refused(folder, tmp_path):
    assert refusal(lambda: source(folder, shape=(1, 8, 8))).endswith("square colour images, got shape (1, 8, 8).")
    assert refusal(lambda: source(folder, shape=(8,))).endswith("got shape (8,).")
    assert "has no folder 'train'" in refusal(lambda: source(folder / "train"))
    objective = AdversarialNoise(stylized=str(folder), radius=1.0)
    x = torch.zeros(4, 3, 8, 8)
    state = objective.init(x[:1], model=Watched(), rng=stream(0, "init"))
    y = torch.zeros(4, dtype=torch.int64)
    assert refusal(
        lambda: objective.step(Watched(num_classes=5), x, y, space=SPACE, state=state, count=0, rng=stream(0, "a"))
    ) == (
        "AdversarialNoise: the stylized images must have the classes of the data, got 3 class folders in "
        f"{folder / 'train'} for 5 logits."
    )


def test_a_file_that_is_no_image_is_named(folder):
    for each in (folder / "train" / "b").iterdir():
        each.write_bytes(b"no image")
    images = source(folder)
    assert "cannot be read as an image (it is not an image)." in refusal(lambda: [draw(images, k) for k in range(20)])
