"""Networks of torchvision and timm, by name."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.hub import get_dir

from withstand.data.download import is_offline
from withstand.errors import InputError, brief, nearest, told
from withstand.models.base import ImageSize, Model, check_image
from withstand.models.normalize import Normalize

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class Vision(Model):
    """A network of torchvision (`resnet50`) or timm (`timm/convnext_tiny`); needs the extra `vision`.

    Attributes:
        name: Name in the library; prefix `timm/` for timm.
        pretrained: Start from the ImageNet weights: IMAGENET1K_V1 of torchvision (resnet50: 76.13 % top-1), or the
            default weights of timm. If the number of classes differs, the last layer is initialised at random.
    """

    name: str = "resnet18"
    pretrained: bool = False

    @property
    def image_size(self) -> ImageSize | None:
        """The size by timm's configuration of the network; None for networks of torchvision."""
        if not self.name.startswith("timm/"):
            return None
        found = import_vision("timm").get_pretrained_cfg(self.name.removeprefix("timm/"))
        if found is None or found.input_size[-1] != found.input_size[-2]:
            return None
        pixels = found.input_size[-1]
        return ImageSize(pixels, int(pixels / (found.crop_pct or 1.0)))

    def make(self, shape: tuple[int, ...], num_classes: int) -> tuple[Normalize, nn.Module]:
        """Build the network for colour images; a single channel is repeated three times."""
        check_image(self.name, shape)
        if shape[0] not in (1, 3):
            raise InputError(f"{self.name}: images must have 1 or 3 channels, got {shape[0]}.")
        if self.name.startswith("timm/"):
            normalize, network = self._timm(num_classes)
        else:
            normalize, network = self._torchvision(num_classes)
        try:
            with torch.no_grad():
                network.eval()(torch.zeros(1, 3, *shape[1:]))
        except (RuntimeError, ValueError, AssertionError) as problem:
            raise InputError(
                f"{self.name}: cannot take images of {shape[1]} x {shape[2]} pixels ({told(problem)})."
            ) from problem
        return normalize, network.train()

    def _torchvision(self, num_classes: int) -> tuple[Normalize, nn.Module]:
        models = import_vision("torchvision").models
        if self.name not in models.list_models(module=models):
            known = [*known_names(), "small-cnn", "wide-res-net", "mlp"]
            raise InputError(
                f"model: {brief(self.name)} is not a network of withstand or torchvision; {nearest(self.name, known)}"
            )
        # Inception's auxiliary head would make training return two outputs; its inputs are scaled to [-1, 1].
        inception = self.name == "inception_v3"
        options: dict[str, Any] = {"aux_logits": False, "init_weights": False} if inception else {}
        if self.name == "googlenet":
            options = {"aux_logits": False, "init_weights": True}
        network = models.get_model(self.name, weights=None, num_classes=num_classes, **options)
        if self.pretrained:
            weights = models.get_model_weights(self.name)
            chosen = getattr(weights, "IMAGENET1K_V1", None) or weights.DEFAULT
            kept = Path(get_dir()) / "checkpoints" / chosen.url.rpartition("/")[2]
            with _published(self.name, is_kept=kept.is_file()):
                load_matching(network, chosen.get_state_dict(progress=False, check_hash=True))
        half = (0.5, 0.5, 0.5)
        return (Normalize(half, half) if inception else Normalize(IMAGENET_MEAN, IMAGENET_STD)), network

    def _timm(self, num_classes: int) -> tuple[Normalize, nn.Module]:
        import_vision("torchvision")
        timm, name = import_vision("timm"), self.name.removeprefix("timm/")
        if not timm.is_model(name):
            raise InputError(f"model: {brief(name)} is not a network of timm; {nearest(name, timm.list_models())}")
        kept = _kept_by_timm(name) if self.pretrained and is_offline() else None
        with _published(self.name, is_kept=kept is not None or not self.pretrained):
            overlay = {"file": kept} if kept else None
            network = timm.create_model(
                name, pretrained=self.pretrained, num_classes=num_classes, pretrained_cfg_overlay=overlay
            )
        return Normalize(network.default_cfg["mean"], network.default_cfg["std"]), network

    @classmethod
    def examples(cls) -> list[tuple[Model, tuple[int, ...]]]:
        """None without the extra."""
        try:
            import_vision("torchvision")
        except InputError:
            return []
        return [(cls(name="resnet18"), (3, 32, 32)), (cls(name="squeezenet1_1"), (1, 32, 32))]


@contextmanager
def _published(name: str, *, is_kept: bool) -> Iterator[None]:
    """Load published weights; with `WITHSTAND_OFFLINE`, only those that are kept on this machine.

    Raises:
        InputError: If they are missing and cannot be downloaded, or damaged.
    """
    instead = "pass a file with --weights (Python: the module itself)"
    if is_offline() and not is_kept:
        raise InputError(
            f"model: the published weights of {name} are not on this machine, and WITHSTAND_OFFLINE disables "
            f"downloads; {instead}."
        )
    try:
        yield
    except Exception as problem:  # of torch.hub, timm and huggingface_hub: URLError, HTTPError, RuntimeError and others
        raise InputError(
            f"model: the published weights of {name} cannot be loaded ({told(problem)}); {instead}."
        ) from problem


def _kept_by_timm(name: str) -> str | None:
    """Return the file of a network's published weights in the cache of timm; None if there is none."""
    import huggingface_hub

    found = import_vision("timm").get_pretrained_cfg(name)
    if found is None or not found.hf_hub_id:
        return None
    for file in ("model.safetensors", "pytorch_model.bin"):
        kept = huggingface_hub.try_to_load_from_cache(found.hf_hub_id, file)
        if isinstance(kept, str):
            return kept
    return None


def known_names() -> list[str]:
    """Return the names of torchvision's classification networks, none if it is not installed."""
    try:
        models = import_vision("torchvision").models
    except InputError:
        return []
    return models.list_models(module=models)


def import_vision(name: str) -> Any:
    """Return torchvision or timm.

    Raises:
        InputError: If it is not installed, or does not fit the installed torch.
    """
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as problem:
        raise InputError(f"model: {name} is not installed; `pip install 'withstand[vision]'` brings it.") from problem
    except RuntimeError as problem:
        raise InputError(
            f"model: torchvision does not fit the installed torch {torch.__version__} (a CPU-only torch next to a "
            "torchvision of the package index does this); install both together with `pip install torch torchvision`."
        ) from problem


def load_matching(network: nn.Module, state: dict[str, torch.Tensor]) -> Iterable[str]:
    """Load the entries whose name and shape fit, and return the names of the parameters that kept their values."""
    own = network.state_dict()
    fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    return network.load_state_dict(fitting, strict=False).missing_keys
