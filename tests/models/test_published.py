"""Published weights: kept ones are used, missing ones are downloaded or refused."""

from urllib.error import URLError

import pytest
import torch

from withstand.errors import InputError
from withstand.models.vision import Vision, known_names
from withstand.models.weights import write_weights

pytestmark = pytest.mark.skipif(not known_names(), reason="torchvision is not installed")


@pytest.fixture
def fetched(tmp_path, monkeypatch):
    """An empty cache, and a network that is down; the addresses that were asked for."""
    asked = []

    def fetch(url, *_args, **_options):
        asked.append(url)
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    return asked


def test_a_failed_download_is_an_error_of_one_line(fetched, monkeypatch):
    monkeypatch.delenv("WITHSTAND_OFFLINE", raising=False)
    with pytest.raises(InputError, match=r"resnet18 cannot be loaded .*no network.*--weights") as caught:
        Vision(pretrained=True).build((3, 32, 32), 10, seed=0)
    assert len(fetched) == 1
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["resnet18", "timm/resnet18"])
def test_nothing_is_downloaded_if_downloads_are_disabled(name, fetched, monkeypatch):
    if name.startswith("timm/"):
        pytest.importorskip("timm")
        import huggingface_hub

        monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setenv("WITHSTAND_OFFLINE", "1")
    with pytest.raises(InputError, match="WITHSTAND_OFFLINE"):
        Vision(name=name, pretrained=True).build((3, 32, 32), 10, seed=0)
    assert not fetched


def test_kept_weights_of_timm_need_no_download(tmp_path, monkeypatch):
    timm = pytest.importorskip("timm")
    import huggingface_hub

    kept = timm.create_model("resnet18", num_classes=1000)
    path = tmp_path / "model.safetensors"
    write_weights(path, kept)
    monkeypatch.setenv("WITHSTAND_OFFLINE", "1")
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: str(path))
    network = Vision(name="timm/resnet18", pretrained=True).build((3, 32, 32), 10, seed=0)
    found = next(value for name, value in network.state_dict().items() if name.endswith("layer4.1.conv2.weight"))
    assert torch.equal(found, kept.state_dict()["layer4.1.conv2.weight"])
