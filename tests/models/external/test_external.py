"""Models of the user: what every way to name one promises."""

import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import polars as pl
import pytest
import torch
from torch import nn

import withstand as ws
from withstand.cli import main
from withstand.configuration import foreign_source
from withstand.data.base import TensorSplit
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.experiment import build_model
from withstand.experiment import run as run_experiment
from withstand.models.base import remarks_on
from withstand.models.external.external import External
from withstand.models.external.from_files import FixedBatch
from withstand.models.weights import load_weights
from withstand.models.wrappers.black_box import is_differentiable

OWN = Path(__file__).parent / "own.py"
SHAPE = (3, 32, 32)


@pytest.fixture(autouse=True)
def path(monkeypatch):
    """Folders of sources leave the import path with the test."""
    monkeypatch.setattr(sys, "path", list(sys.path))


def built(source, shape=SHAPE, num_classes=10, **fields):
    return External(source=str(source), **fields).build(shape, num_classes, seed=0).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The user's file, a trained network of it, and the files that it is exported to."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copy(OWN, folder / "own.py")
    model = built(f"{folder}/own.py:trained").network
    x = torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(0))
    batch = torch.export.Dim("batch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(model, x), folder / "net.ts")
        torch.onnx.export(model, (x,), folder / "net.onnx", dynamic_shapes={"x": {0: batch}}, verbose=False)
        torch.onnx.export(model, (x,), folder / "fixed.onnx", verbose=False)
    torch.export.save(torch.export.export(model, (x,), dynamic_shapes={"x": {0: batch}}), folder / "net.pt2")
    torch.export.save(torch.export.export(model, (x,)), folder / "fixed.pt2")
    return folder


@pytest.fixture(scope="module")
def digits():
    split = ws.Digits().load("test")
    return split.x[:50].float() / 255, split.y[:50]


@pytest.mark.parametrize("file", ["net.ts", "net.pt2", "fixed.pt2", "net.onnx", "fixed.onnx"])
def test_an_exported_model_answers_like_its_module(folder, digits, file):
    x = digits[0]
    module, exported = built(f"{folder}/own.py:trained"), built(folder / file)
    with torch.no_grad():
        for count in (50, 7, 1):
            torch.testing.assert_close(exported(x[:count]), module(x[:count]), rtol=1e-4, atol=1e-5)
        assert exported(x[:0]).shape == (0, 10)
    assert is_differentiable(exported) == (not file.endswith("onnx"))
    assert ("3 only" in " ".join(remarks_on("m", exported))) == file.startswith("fixed")


def test_gradients_pass_through_programs_and_scripts(folder, digits):
    x = digits[0][:5]
    gradients = []
    for file in ("own.py:trained", "net.ts", "net.pt2", "fixed.pt2"):
        own = x.clone().requires_grad_(True)
        gradients.append(torch.autograd.grad(built(f"{folder}/{file}")(own).logsumexp(1).sum(), own)[0])
    for each in gradients[1:]:
        torch.testing.assert_close(each, gradients[0], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "output", "remark"),
    [
        ({"kind": "tuple"}, None, "element 0"),
        ({"kind": "second"}, "1", "element 1"),
        ({"kind": "logits"}, None, "`logits`"),
        ({"kind": "out"}, None, "`out`"),
        ({"kind": "mine"}, "mine", "`mine`"),
    ],
)
def test_logits_are_found_among_several_outputs(folder, digits, arguments, output, remark):
    model = built(f"{folder}/own.py:Outputs", arguments=arguments, output=output)
    expected = built(f"{folder}/own.py:trained")
    with torch.no_grad():
        assert torch.equal(model(digits[0]), expected(digits[0]))
    assert remark in " ".join(remarks_on("m", model))


@pytest.mark.parametrize("flat", [True, False])
def test_one_logit_is_that_of_the_second_class(folder, flat):
    x = torch.rand(6, *SHAPE, generator=torch.Generator().manual_seed(1))
    logits = built(f"{folder}/own.py:OneLogit", num_classes=2, arguments={"flat": flat})(x)
    z = 8 * (x.flatten(1).mean(1) - 0.2)
    assert torch.equal(logits, torch.stack([torch.zeros(6), z], 1))


def test_required_facts_of_the_data_are_given(folder):
    assert built(f"{folder}/own.py:Sized", shape=(1, 8, 8), num_classes=3)(torch.rand(2, 1, 8, 8)).shape == (2, 3)


@pytest.mark.parametrize("normalize", ["imagenet", "0.5,0.25", "0.1,0.2,0.3,1,2,3"])
def test_inputs_are_normalised_as_named(folder, digits, normalize):
    means, stds = {
        "imagenet": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        "0.5,0.25": ([0.5], [0.25]),
        "0.1,0.2,0.3,1,2,3": ([0.1, 0.2, 0.3], [1.0, 2.0, 3.0]),
    }[normalize]
    x = digits[0]
    own = (x - torch.tensor(means)[:, None, None]) / torch.tensor(stds)[:, None, None]
    source = f"{folder}/own.py:trained"
    with torch.no_grad():
        torch.testing.assert_close(built(source, normalize=normalize)(x), built(source)(own))


def test_a_forest_is_a_model_without_gradients(folder, digits):
    x, y = digits
    forest = built(f"{folder}/own.py:SmallForest")
    assert not is_differentiable(forest)
    assert (forest(x).argmax(1) == y).float().mean() > 0.8
    with pytest.raises(InputError, match="no gradients"):
        forest(x.clone().requires_grad_(True))


@pytest.mark.parametrize(
    ("source", "fields", "said"),
    [
        ("own.py:nope", {}, "has no nope"),
        ("own.py:broken", {}, r"failed \(RuntimeError: weights are missing\)"),
        ("own.py:leaves", {}, r"failed \(SystemExit: no weights\)"),
        ("own.py:nothing", {}, "must return a torch.nn.Module or a fitted classifier, got int"),
        ("own.py:Net", {"arguments": {"depth": 3}}, "failed"),
        ("own.py:Net", {"arguments": {"num_classes": 7}}, r"logits of shape \(2, 10\), got \(2, 7\)"),
        ("own.py:Net", {"output": "logits"}, "returns a tensor"),
        ("own.py:Outputs", {"arguments": {"kind": "mine"}}, "name one with --model.output"),
        ("own.py:Outputs", {"arguments": {"kind": "mine"}, "output": "x"}, "no output x"),
        ("missing.py:Net", {}, "expected a Python file"),
        ("missing.onnx", {}, "missing.onnx"),
        ("missing.pt2", {}, "missing.pt2"),
        ("missing.ts", {}, "missing.ts"),
        ("own.py:Net", {"normalize": "0.5"}, "normalize must be"),
        ("own.py:Net", {"normalize": "0.5,0"}, "normalize must be"),
        ("resnet18", {}, "source must be"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(folder, source, fields, said):
    source = source if source == "resnet18" else f"{folder}/{source}"
    with pytest.raises(InputError, match=said) as refused:
        built(source, **fields)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("suffix", [".onnx", ".pt2", ".pt", ".ts"])
def test_damaged_files_are_refused(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(b"not a model")
    with pytest.raises(InputError, match="is not a") as refused:
        built(path)
    assert "\n" not in str(refused.value)


def test_the_identity_depends_on_the_code_and_not_on_its_place(tmp_path):
    (tmp_path / "a").mkdir()
    path = tmp_path / "a" / "net.py"
    path.write_text(OWN.read_text())
    before = foreign_source(External(source=f"{path}:Net"))
    assert foreign_source(External(source=f"{path}:Net")) == before
    path.write_text(OWN.read_text().replace("36 * width", "9 * 4 * width"))
    assert foreign_source(External(source=f"{path}:Net")) != before


def test_a_changed_file_is_read_again(tmp_path):
    path = tmp_path / "net.py"
    sizes = []
    for width in (3, 5):
        path.write_text(f"from torch import nn\ndef build():\n    return nn.Linear(2, {width})\n")
        sizes.append(built(f"{path}:build", shape=(2,), num_classes=width).network.out_features)
    assert sizes == [3, 5]


@pytest.fixture(scope="module")
def vit(folder):
    """A folder of transformers with a small network and an image processor."""
    transformers = pytest.importorskip("transformers")
    config = transformers.ResNetConfig(
        num_channels=3, embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], layer_type="basic", num_labels=10
    )
    torch.manual_seed(0)
    transformers.ResNetForImageClassification(config).eval().save_pretrained(folder / "vit")
    processor = {"do_normalize": True, "image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.6, 0.7]}
    processor |= {"do_resize": True, "size": {"height": 48, "width": 48}, "do_rescale": True}
    (folder / "vit" / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder / "vit"


def test_a_folder_of_transformers_is_measured_with_its_preprocessing(vit):
    from transformers import AutoModelForImageClassification

    network = AutoModelForImageClassification.from_pretrained(vit).eval()
    x = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0))
    own = (x - torch.tensor([0.1, 0.2, 0.3])[:, None, None]) / torch.tensor([0.5, 0.6, 0.7])[:, None, None]
    with torch.no_grad():
        torch.testing.assert_close(built(vit)(x), network(pixel_values=own).logits)
    assert External(source=str(vit)).image_size == (48, 48)


def test_classes_of_transformers_are_matched_by_name(vit, digits):
    plain = built(vit)
    network = plain.network
    names = [f"name{number}" for number in range(10)]
    network.labels = tuple(reversed(names))
    with torch.no_grad():
        before = plain(digits[0])
        network.name_classes(names)
        assert torch.equal(plain(digits[0]), before.flip(1))
    assert "matched by name" in network.remark
    network.order = None
    network.name_classes([f"other{number}" for number in range(10)])
    assert network.order is None
    assert "name9 is taken for other0" in network.remark


@pytest.mark.parametrize("name", ["rule", "made_rule", "labels"])
def test_functions_and_labels_are_models_of_the_command_line(folder, tmp_path, name):
    split = TensorSplit(
        torch.rand(20, 3, 8, 8, generator=torch.Generator().manual_seed(0)),
        torch.zeros(20, dtype=torch.int64),
        classes=("0", "1"),
        box=(0.0, 1.0),
    )
    model = build_model(ws.Experiment(model=External(source=f"{folder}/own.py:{name}")), split, Engine())
    x = split.x
    assert torch.equal(model(x).argmax(1), (x.mean((1, 2, 3)) > 0.5).long())


def test_an_empty_batch_passes_through_a_fixed_batch_of_several_outputs(digits):
    class Two(nn.Module):
        def forward(self, x):
            return {"logits": x.flatten(1)[:, :10], "features": x}

    found = FixedBatch(Two(), 3)(digits[0][:0])
    assert found["logits"].shape == (0, 10)
    assert found["features"].shape == (0, *SHAPE)


def test_weights_fit_a_network_whose_output_is_picked(folder, digits):
    model = built(f"{folder}/own.py:Outputs", arguments={"kind": "logits"})
    state = {name: torch.randn_like(each) for name, each in model.network.model.state_dict().items()}
    torch.save(state, folder / "w.pth")
    load_weights(model, folder / "w.pth")
    assert all(torch.equal(each, state[name]) for name, each in model.network.model.state_dict().items())


@pytest.mark.slow
def test_an_experiment_trains_a_copy_of_a_module(tmp_path, digits):
    torch.manual_seed(0)
    module = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(192, 10))
    before = {name: each.clone() for name, each in module.state_dict().items()}
    experiment = ws.Experiment(model=module, training=ws.Training(epochs=1, batch_size=64))
    folder = run_experiment(experiment, tmp_path)
    assert all(torch.equal(each, before[name]) for name, each in module.state_dict().items())
    assert ws.Experiment(model=module, training=ws.Training(epochs=1, batch_size=64)).identity == experiment.identity
    with torch.no_grad():
        module[2].bias += 1
    assert ws.Experiment(model=module, training=ws.Training(epochs=1, batch_size=64)).identity != experiment.identity
    assert ws.evaluate(str(folder), on="brightness/1", device="cpu").rows
    code = f"import withstand as ws; ws.evaluate({str(folder)!r}, on='fog/1')"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "was trained on a module given in Python" in other.stderr


def test_own_models_are_trained_resumed_and_measured_like_others(folder, tmp_path, capsys):
    words = ["train", "--data", "digits", "--model", f"{folder}/own.py:Net", "--model.init_args.width", "3"]
    words += ["--epochs", "1", "--output", tmp_path, "--device", "cpu"]
    assert run(*words) == run(*words) == 0
    assert "finished already" in capsys.readouterr().err
    (path,) = tmp_path.glob("run-*")
    assert run("evaluate", path, "--on", "clean", "--device", "cpu") == 0
    source = folder / "own.py"
    before = source.read_text()
    try:
        source.write_text(before + "\n# a remark\n")
        assert run("evaluate", path, "--on", "clean", "--device", "cpu") == 0
        assert "code of" in capsys.readouterr().out
    finally:
        source.write_text(before)


def test_a_model_without_gradients_is_not_trained(folder, tmp_path, capsys):
    for source in ("own.py:SmallForest", "net.pt2", "net.onnx"):
        words = ["train", "--data", "digits", "--model", f"{folder}/{source}", "--epochs", "1", "--output", tmp_path]
        assert run(*words) == 2
        assert "got one without" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def run(*words):
    """Run a command, and return its exit code."""
    return main([str(each) for each in words])


@pytest.mark.slow
def test_all_kinds_of_models_stand_in_one_table(folder, vit, tmp_path, capsys):
    sources = [f"{folder}/own.py:trained", folder / "net.onnx", folder / "net.ts", vit, f"{folder}/own.py:SmallForest"]
    on = ["clean", "contrast/3", "brightness/3", "gaussian_noise/3"]
    samples = tmp_path / "samples.csv"
    words = ["evaluate", *sources, "--data", "digits", "--on", *on, "--output", tmp_path, "--device", "cpu"]
    assert run(*words, "--samples", samples) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in ("own.py:trained", "net.onnx", "net.ts", "vit", "own.py:SmallForest"))
    assert "no gradients" in text
    table = pl.read_csv(samples)
    module, exported = (table.filter(pl.col("model") == name).drop("model") for name in ("own.py:trained", "net.onnx"))
    kinds = [name for name in module.columns if "predict" in name or "correct" in name]
    assert kinds
    assert module.height == exported.height == 359
    assert module.select(kinds).equals(exported.select(kinds))
    assert run(*words) == 0
    assert "measured already" in capsys.readouterr().err


HOLDERS = """
import torch
from torch import nn

class Holder(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.inner, bias = None, torch.load("bias.pth")
        if kind == "tensor":
            self.bias = bias
        elif kind == "array":
            self.bias = bias.numpy()
        elif kind == "dict":
            self.bias = {"bias": [bias]}
        elif kind == "buffer":
            self.register_buffer("bias", bias, persistent=False)
        else:
            layer = nn.Linear(1, 10)
            layer.bias.data = bias
            self.bias = [layer]

    def forward(self, x):
        bias = self.bias
        bias = bias["bias"][0] if isinstance(bias, dict) else bias[0].bias if isinstance(bias, list) else bias
        return torch.as_tensor(bias).expand(len(x), 10)
"""


@pytest.mark.parametrize("kind", ["tensor", "array", "dict", "buffer", "list"])
def test_other_weights_are_other_outcomes_wherever_the_model_keeps_them(tmp_path, monkeypatch, capsys, kind):
    monkeypatch.chdir(tmp_path)
    Path("holder.py").write_text(HOLDERS)
    found = []
    for label in (1, 3, 1):
        torch.save(9 * torch.eye(10)[label], "bias.pth")
        words = ["evaluate", "holder.py:Holder", f"--model.init_args.kind={kind}", "--data=Digits", "--format=json"]
        assert main(words) == 0
        shown = capsys.readouterr()
        found.append([each["value"] for each in json.loads(shown.out)["rows"] if each["measure"] == "top1"])
    assert found[0] == found[2] != found[1]
    assert "measured already" in shown.err


def test_the_identity_depends_on_imported_neighbours(tmp_path):
    lab = tmp_path / "lab"
    lab.mkdir()
    (lab / "__init__.py").write_text("")
    (lab / "parts.py").write_text("WIDTH = 1\n")
    (lab / "nets.py").write_text("from .parts import WIDTH\ndef net():\n    return WIDTH\n")
    (tmp_path / "net.py").write_text("def net():\n    import lab.nets\n")
    (tmp_path / "other.py").write_text("")
    own = External(source=f"{tmp_path}/net.py:net")
    before = own.digest()
    (tmp_path / "other.py").write_text("X = 1\n")
    assert own.digest() == before
    (lab / "parts.py").write_text("WIDTH = 2\n")
    assert own.digest() != before


def test_a_neighbour_is_never_that_of_another_folder(tmp_path):
    for folder, value in (("a", 1), ("b", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "breaker_parts.py").write_text(f"VALUE = {value}\n")
        text = "from breaker_parts import VALUE\nfrom torch import nn\ndef net():\n    return nn.LazyLinear(VALUE)\n"
        (tmp_path / folder / "net.py").write_text(text)
    assert built(f"{tmp_path}/a/net.py:net", (3,), 1)
    with pytest.raises(InputError, match="breaker_parts"):
        built(f"{tmp_path}/b/net.py:net", (3,), 2)


def test_a_module_of_the_file_is_copied_and_its_import_does_not_shift_the_draws(tmp_path):
    text = "from torch import nn\nshared = nn.Linear(3, 2)\ndef fresh():\n    return nn.Linear(3, 2)\n"
    for name in ("first", "second"):
        (tmp_path / f"{name}.py").write_text(text)
    fresh = [built(f"{tmp_path}/first.py:fresh", (3,), 2) for _ in range(2)]
    assert torch.equal(fresh[0].network.weight, fresh[1].network.weight)
    shared = [built(f"{tmp_path}/{name}.py:shared", (3,), 2).network for name in ("first", "first", "second")]
    assert shared[0] is not shared[1]
    assert all(torch.equal(each.weight, shared[0].weight) for each in shared)


@pytest.mark.parametrize(
    "processor",
    [
        "[1]",
        '{"image_mean": "a"}',
        '{"image_mean": [0.5], "image_std": [0.5, 0.5]}',
        '{"image_mean": [0.5], "image_std": [0]}',
    ],
)
def test_a_damaged_image_processor_is_refused(tmp_path, processor):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "preprocessor_config.json").write_text(processor)
    with pytest.raises(InputError, match=str(tmp_path)):
        External(source=str(tmp_path)).build(SHAPE, 10, seed=0)


@pytest.mark.slow
def test_a_damaged_program_is_told_without_a_traceback(tmp_path):
    (tmp_path / "bad.pt2").write_text("no program")
    code = f"from withstand.cli import main; main(['evaluate', {str(tmp_path / 'bad.pt2')!r}, '--data=Digits'])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert len(found.stderr.strip().splitlines()) == 1


def test_a_script_of_one_batch_size_is_refused_with_its_reason(tmp_path):
    class One(nn.Module):
        def forward(self, x):
            return x.flatten().view(1, 10)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(One(), torch.rand(1, 10)), tmp_path / "one.ts")
    with pytest.raises(InputError, match=r"shape '\[1, 10\]' is invalid"):
        built(tmp_path / "one.ts", (10,), 10)
