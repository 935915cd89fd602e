"""Released weights: found or fetched once, the same at every later load. No test leaves this machine."""

import hashlib
import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from PIL import Image

from withstand.cli import main
from withstand.errors import InputError
from withstand.models import released
from withstand.models.released import RELEASES, Release, Released, find_weights
from withstand.models.vision import Vision, known_names

pytestmark = pytest.mark.skipif(not known_names(), reason="torchvision is not installed")
SMALL = "shufflenet_v2_x0_5"  # has batch normalisation, and a file of 6 MB
ANT = "game-of-noise/ANT"


@pytest.fixture(scope="module")
def source():
    """A small network with 1,000 classes."""
    return Vision(name=SMALL).build((3, 64, 64), 1000, seed=1).eval()


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Folders of the data root and of the cache, and no network; the networks are small."""
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("WITHSTAND_OFFLINE", "1")
    monkeypatch.setattr(released, "NETWORK", SMALL)
    folder = "models/game-of-noise"
    return tmp_path / "data" / folder, tmp_path / "cache" / "withstand" / folder


@pytest.fixture
def server(tmp_path, monkeypatch, places):
    """A server on this machine in the place of the published address: its folder, and what it was asked for."""
    folder, asked = tmp_path / "server", []
    folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("WITHSTAND_OFFLINE")
    monkeypatch.setattr(released, "GAME_OF_NOISE", f"http://127.0.0.1:{http.server_port}")
    yield folder, asked
    http.shutdown()
    thread.join()
    http.server_close()


def put(network, folder, name=ANT):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RELEASES[name].file
    torch.save({"model_state_dict": network.state_dict(), "epoch": 120}, path)
    return path


def refusal(make):
    with pytest.raises(InputError) as raised:
        make()
    sentence = str(raised.value)
    assert "\n" not in sentence
    return sentence


def logits(model):
    x = torch.rand((2, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return model.eval()(x)


def build(name=ANT, **fields):
    return Released(name=name, **fields).build((3, 64, 64), 1000, seed=0)


def test_the_first_use_fetches_and_every_later_one_reads_the_same_file(server, places, source):
    folder, asked = server
    digest = hashlib.sha256(put(source.network, folder).read_bytes()).hexdigest()
    for _ in range(2):
        assert torch.equal(logits(build()), logits(source))
    assert asked == ["/ANT_Model.pth"]
    assert sorted(each.name for each in places[1].iterdir()) == ["ANT_Model.pth", "ANT_Model.pth.sha256"]
    assert (places[1] / "ANT_Model.pth.sha256").read_text() == f"{digest}  ANT_Model.pth\n"


def test_a_file_that_has_changed_since_is_refused(server, places, source):
    path = put(source.network, server[0])
    find_weights(ANT)
    (places[1] / path.name).write_bytes(path.read_bytes() + b"x")
    sentence = refusal(build)
    assert sentence.startswith(f"{ANT}: {places[1] / path.name} is not the published file: its sha256 must be ")
    # One that was removed must come back as it was.
    (places[1] / path.name).unlink()
    path.write_bytes(path.read_bytes() + b"y")
    assert "was not the expected file" in refusal(build)
    assert [each.name for each in places[1].iterdir()] == [f"{path.name}.sha256"]


@pytest.mark.parametrize("place", [0, 1])
def test_a_file_that_is_there_needs_no_network(place, places, source):
    put(source.network, places[place])
    assert torch.equal(logits(build()), logits(source))
    # What lies under the data root is the user's: nothing is written beside it.
    assert (places[place] / "ANT_Model.pth.sha256").exists() == (place == 1)


def test_without_a_network_the_message_says_where_the_file_was_looked_for(places):
    sentence = refusal(build)
    assert sentence.startswith(f"{ANT}: no weights at ")
    for part in (*(str(each / "ANT_Model.pth") for each in places), "releases/download/v1.0", "WITHSTAND_OFFLINE"):
        assert part in sentence


def test_a_server_without_the_file_is_one_sentence_and_leaves_nothing(server, places):
    assert "the server answered 404" in refusal(build)
    assert list(places[1].iterdir()) == []


LAYOUTS = {
    "as released": lambda state: {"model_state_dict": state, "optimizer_state_dict": {"state": {}}},
    "bare": lambda state: state,
    "on several devices": lambda state: {"model_state_dict": {f"module.{name}": x for name, x in state.items()}},
    "wrapped": lambda state: {f"model.{name}": x for name, x in state.items()},
    "wrapped on several devices": lambda state: {f"module.model.{name}": x for name, x in state.items()},
    "on several devices, wrapped": lambda state: {f"model.module.{name}": x for name, x in state.items()},
    "without counts": lambda state: {name: x for name, x in state.items() if not name.endswith("_tracked")},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read(layout, places, source):
    places[1].mkdir(parents=True)
    torch.save(LAYOUTS[layout](source.network.state_dict()), places[1] / "ANT_Model.pth")
    assert torch.equal(logits(build()), logits(source))


def test_it_is_torchvisions_resnet50_with_the_normalisation_inside(places, monkeypatch):
    import torchvision

    monkeypatch.setattr(released, "NETWORK", "resnet50")
    network = torchvision.models.resnet50(weights=None).eval()
    put(network, places[1])
    model = build()
    x = torch.rand((2, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    with torch.no_grad():
        torch.testing.assert_close(logits(model), network((x - mean) / std))
    assert all(each.requires_grad for each in model.parameters())


def test_the_clean_network_must_be_the_published_one(places, source):
    path = put(source.network, places[0], "game-of-noise/clean")
    assert path.name == "resnet50-0676ba61.pth"
    assert "its sha256 must be 0676ba61" in refusal(lambda: build("game-of-noise/clean"))


def test_other_weights_can_take_the_place_of_the_released_ones(places):
    assert logits(build(pretrained=False)).shape == (2, 1000)


def test_what_does_not_fit_is_refused_before_anything_is_fetched(places):
    assert refusal(lambda: Released().build((3, 64, 64), 10, seed=0)) == (
        f"{ANT}: data must have the 1,000 classes of ImageNet, got 10; a folder with some of them needs "
        "--data.class_map imagenet."
    )
    assert refusal(lambda: Released().build((8,), 1000, seed=0)).endswith("got shape (8,).")
    assert refusal(lambda: Released().build((5, 64, 64), 1000, seed=0)).endswith("got 5.")
    assert refusal(lambda: Released(name="game-of-noise/AMT")) == (
        "model: game-of-noise/AMT is not a released network; did you mean game-of-noise/ANT or game-of-noise/ANT3x3 or "
        "game-of-noise/ANT-SIN?"
    )


def test_every_release_names_another_file():
    assert len({each.file for each in RELEASES.values()}) == len(RELEASES) == 8
    assert all(isinstance(each, Release) and each.file.endswith(".pth") for each in RELEASES.values())


def test_a_released_model_is_measured_by_its_name_alone(server, places, source, tmp_path, monkeypatch, capsys):
    pytest.importorskip("timm")
    put(source.network, server[0])
    generator = np.random.default_rng(0)
    for name in ("n01440764", "n01443537"):
        folder = tmp_path / "photos" / "val" / name
        folder.mkdir(parents=True)
        Image.fromarray(generator.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(folder / "a.png")
    data = ["--data=imagenet", "--root", tmp_path / "photos", "--data.pixels=64", "--data.resize=64"]
    words = ["evaluate", ANT, *data, "--data.class_map=imagenet", "--output", tmp_path / "runs", "--format=json"]
    assert main([str(each) for each in words]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {(row["model"], row["count"]) for row in rows} == {("ANT", 2)}
    # A file given by hand is used instead: nothing is fetched.
    monkeypatch.setenv("WITHSTAND_OFFLINE", "1")
    weights = put(source.network, tmp_path / "mine", "game-of-noise/Speckle")
    words = ["evaluate", "game-of-noise/Speckle", "--weights", weights, *words[2:]]
    assert main([str(each) for each in words]) == 0
    again = json.loads(capsys.readouterr().out)["rows"]
    assert [row["value"] for row in again] == [row["value"] for row in rows]


def test_the_list_of_models_shows_them(capsys):
    assert main(["list", "models"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in RELEASES)
