"""Valid files of every kind, made once; inputs are mutations of them."""

import gzip
import json
import pickle
import shutil
import struct
import warnings
from pathlib import Path

import numpy as np

TRAIN = ["--model", "MLP", "--model.hidden", "[4]", "--epochs", "1", "-b", "16"]
IMAGES = ["--data", "ImageFolder", "--data.root", "images", "--data.pixels", "8", "--data.resize", "8"]
SWEEP = """name: small
set: {model: MLP, model.hidden: [4], epochs: 1, batch_size: 16, data: digits}
vary:
  lr: [0.01, 0.001]
  kind:
    plain: {objective: PerturbedRisk}
    noise: {objective.perturbation: Gaussian}
seeds: 1
small: {vary: {lr: [0.1]}}
"""


def make_fixtures(root: Path) -> None:
    """Write all of them below a folder, which becomes the working folder."""
    import os

    root.mkdir(parents=True)
    os.chdir(root)
    rng = np.random.default_rng(0)
    for make in (_images, _idx, _cifar, _tables, _arrays):
        make(rng)
    _runs()
    _weights()
    _models()
    _transformers()
    Path("place").write_text(str(Path.cwd()))
    Path("sweep.yaml").write_text(SWEEP)
    _command("sweep", "sweep.yaml", "--output", ".", "--name", "sweep", "--vectorize")
    Path("map.txt").write_text("a 0\nb 1\n")
    Path("map.json").write_text('{"a": 0, "b": 1}')


def _command(*words: str) -> None:
    from withstand.cli import main

    if main([*words, "--quiet"]):
        raise RuntimeError(f"a fixture cannot be made: {words}")


def _images(rng: np.random.Generator) -> None:
    from PIL import Image

    kinds = ("png", "jpg", "tif", "webp", "bmp", "ppm", "png", "jpg")
    for part, label in ((part, label) for part in ("train", "val") for label in ("a", "b")):
        folder = Path("images", part, label)
        folder.mkdir(parents=True)
        for number, kind in enumerate(kinds):
            picture = Image.fromarray(rng.integers(0, 256, (34, 36, 3), dtype=np.uint8))
            picture.save(folder / f"{number}.{kind}")


def _idx(rng: np.random.Generator) -> None:
    for folder in (Path("idx"), Path("idx-gz")):
        folder.mkdir()
        for stem in ("train", "t10k"):
            pixels = rng.integers(0, 256, (40, 28, 28), dtype=np.uint8).tobytes()
            labels = bytes(number % 10 for number in range(40))
            for kind, head, body in (
                ("images-idx3-ubyte", struct.pack(">IIII", 0x803, 40, 28, 28), pixels),
                ("labels-idx1-ubyte", struct.pack(">II", 0x801, 40), labels),
            ):
                path = folder / f"{stem}-{kind}"
                if folder.name == "idx-gz":
                    path.with_name(path.name + ".gz").write_bytes(gzip.compress(head + body, mtime=0))
                else:
                    path.write_bytes(head + body)


def _cifar(rng: np.random.Generator) -> None:
    python, binary = Path("cifar/cifar-10-batches-py"), Path("cifar-bin/cifar-10-batches-bin")
    python.mkdir(parents=True)
    binary.mkdir(parents=True)
    for name in (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"):
        data, labels = rng.integers(0, 256, (20, 3072), dtype=np.uint8), [number % 10 for number in range(20)]
        (python / name).write_bytes(pickle.dumps({b"data": data, b"labels": labels}, protocol=2))
        records = (bytes([label]) + row.tobytes() for label, row in zip(labels, data, strict=True))
        (binary / f"{name}.bin").write_bytes(b"".join(records))


def _tables(rng: np.random.Generator) -> None:
    import polars

    number = rng.normal(size=60).round(3)
    frame = polars.DataFrame(
        {"a": number, "b": rng.integers(0, 9, 60), "c": ["red", "green", "blue"] * 20, "y": ["p", "q"] * 30}
    )
    frame.write_csv("table.csv")
    frame.write_parquet("table.parquet")


def _arrays(rng: np.random.Generator) -> None:
    for folder, side in (("arrays", 8), ("CIFAR-10-C", 32)):
        Path(folder).mkdir()
        np.save(f"{folder}/labels.npy", np.arange(10, dtype=np.int64) % (2 if side == 8 else 10))
        for name in ("fog", "contrast"):
            np.save(f"{folder}/{name}.npy", rng.integers(0, 256, (50, side, side, 3), dtype=np.uint8))
    Path("arrays/classes.json").write_text('["a", "b"]')


def _runs() -> None:
    _command("train", "--data", "digits", *TRAIN, "--output", "runs", "--name", "one")
    _command("train", "--data", "digits", *TRAIN, "--output", "runs", "--name", "two", "--seed", "1")
    _command("train", *IMAGES, *TRAIN, "--output", "made")
    for name, folder in (("one", "runs"), ("run", "made")):
        next(Path(folder).glob(f"{name}-*")).rename(f"{name}-folder")
    shutil.copytree("one-folder", next(Path("runs").glob("two-*")).with_name("one-copy"))
    Path("one-folder").rename("digits-run")
    Path("run-folder").rename("images-run")
    shutil.rmtree("made")
    _command("report", "runs", "--output", "report")
    words = ["--corruptions", "contrast", "fog", "--severities", "1-5", "--size", "8", "--frost", "procedural"]
    _command("corrupt", "images/val", "copy", *words, "--to", "png", "-j", "0")
    _command("corrupt", "images/val", "copy-npy", *words, "--to", "npy", "-j", "0")
    _command("corrupt", "images/val", "copy-same", *words[:5], "--size", "original", "-j", "0")


def _weights() -> None:
    import torch
    from safetensors.torch import load_file

    found = load_file("digits-run/model.safetensors")
    Path("weights").mkdir()
    shutil.copyfile("digits-run/model.safetensors", "weights/net.safetensors")
    torch.save(found, "weights/net.pth")
    torch.save({"epoch": 3, "state_dict": found}, "weights/nested.pth")


def _models() -> None:
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)).eval()
    x, batch = torch.rand(3, 3, 32, 32), torch.export.Dim("batch")
    Path("models").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(model, x), "models/net.ts")
        torch.onnx.export(
            model, (x,), "models/net.onnx", dynamic_shapes=({0: batch},), external_data=False, verbose=False
        )
        torch.export.save(torch.export.export(model, (x,), dynamic_shapes=({0: batch},)), "models/net.pt2")


def _transformers() -> None:
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    sizes = {"embedding_size": 8, "hidden_sizes": [8, 8], "depths": [1, 1]}
    config = transformers.ResNetConfig(num_channels=3, layer_type="basic", num_labels=10, **sizes)
    torch.manual_seed(0)
    transformers.ResNetForImageClassification(config).eval().save_pretrained("vit")
    processor = {"do_normalize": True, "image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.6, 0.7]}
    processor |= {"do_resize": True, "size": {"height": 48, "width": 48}, "do_rescale": True}
    Path("vit/preprocessor_config.json").write_text(json.dumps(processor))
