"""Archives of torch.export that hold code are refused before PyTorch reads them."""

import io
import json
import os
import pickle
import zipfile

import pytest
import torch
from torch import nn

from withstand.errors import InputError
from withstand.models.external.from_files import read_pt2
from withstand.models.external.pt2_archive import is_harmless


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 10)
        self.register_buffer("factor", torch.tensor([2.0]))

    def forward(self, x):
        features = self.conv(x).mean((2, 3)) * self.factor + torch.arange(4.0)
        return self.linear(features.view(x.shape[0], -1)) + (x.shape[0] + 1) // 2


@pytest.fixture(scope="module")
def parts():
    batch = torch.export.Dim("batch", min=2, max=512)
    program = torch.export.export(Net(), (torch.zeros(4, 3, 8, 8),), dynamic_shapes={"x": {0: batch}})
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    with zipfile.ZipFile(buffer) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path, parts):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def named(parts, end):
    return next(name for name in parts if name.endswith(end))


def test_a_program_of_several_batch_sizes_is_read(parts, tmp_path):
    model = read_pt2(write(tmp_path / "net.pt2", parts))
    x = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert model(x).shape == (5, 10)


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def evil_expression(code):
    def change(program):
        text = json.dumps(program)
        symbol = text[text.index("Symbol(") :]
        return json.loads(text.replace(symbol[: symbol.index(")") + 1], json.dumps(code)[1:-1], 1))

    return change


def evil_expression_of(name):
    """Return a change that puts the expression of a size below a name that a user may choose."""

    def change(program):
        sizes = program["graph_module"]["graph"]["sym_int_values"]
        sizes[name] = {"as_expr": {"expr_str": "__import__('os').mkdir('{made}')", "hint": {"as_int": 4}}}
        return program

    return change


def evil_guard(code):
    return lambda program: program | {"guards_code": [code]}


def evil_input(code):
    return lambda program: json.loads(json.dumps(program).replace('"x"', json.dumps(f"x={code}")))


def evil_target(code):
    return lambda program: json.loads(json.dumps(program).replace("torch.ops.aten.mul.Tensor", code))


PROGRAMS = {
    "a size": evil_expression("__import__('os').mkdir('{made}')"),
    "a size in a text": evil_expression("Add('__import__(\\'os\\').mkdir(\\'{made}\\')', Integer(1))"),
    "a size by attributes": evil_expression("Integer(1).__class__"),
    "a size named as what is passed over": evil_expression_of("metadata"),
    "a size named as a text that is passed over": evil_expression_of("stack_trace"),
    "a guard": evil_guard("__import__('os').mkdir('{made}')"),
    "the name of an input": evil_input("__import__('os').mkdir('{made}')"),
    "a function of PyTorch": evil_target("torch.hub.load"),
    "a function of Python": evil_target("_operator.methodcaller"),
    "an operator that writes": evil_target("torch.ops.aten.save"),
}


@pytest.mark.parametrize("change", PROGRAMS.values(), ids=PROGRAMS)
def test_code_in_a_program_is_refused_and_not_run(change, parts, tmp_path):
    made, name = tmp_path / "made", named(parts, "models/model.json")
    changed = json.dumps(change(json.loads(parts[name]))).replace("{made}", str(made))
    assert changed != json.dumps(json.loads(parts[name]))
    with pytest.raises(InputError, match=r"refused.*model\.json"):
        read_pt2(write(tmp_path / "net.pt2", parts | {name: changed.encode()}))
    assert not made.exists()


@pytest.mark.parametrize("end", ["sample_inputs/model.pt", "weights", "constants", "opaque", "compiled"])
def test_pickles_and_libraries_are_refused_and_not_run(end, parts, tmp_path):
    made, root = tmp_path / "made", next(iter(parts)).partition("/")[0]
    buffer = io.BytesIO()
    torch.save(Evil(made), buffer)
    if end in ("weights", "constants"):
        config, file = named(parts, f"model_{end}_config.json"), f"{root}/data/{end}/weight_0"
        own = {"one": {"path_name": "weight_0", "is_param": False, "use_pickle": True, "tensor_meta": None}}
        changed = {config: json.dumps({"config": own}).encode(), file: buffer.getvalue()}
    elif end == "opaque":
        changed = {f"{root}/data/constants/opaque_obj_0": pickle.dumps(Evil(made))}
    elif end == "compiled":
        changed = {f"{root}/data/aotinductor/model/net.so": b"\x7fELF"}
    else:
        changed = {named(parts, end): buffer.getvalue()}
    with pytest.raises(InputError, match="refused"):
        read_pt2(write(tmp_path / "net.pt2", parts | changed))
    assert not made.exists()


@pytest.mark.parametrize("end", ["weights", "constants"])
@pytest.mark.parametrize("name", ["metadata", "as_string", "use_pickle"])
def test_a_pickle_is_refused_whatever_the_name_of_its_tensor(name, end, parts, tmp_path):
    made, root = tmp_path / "made", next(iter(parts)).partition("/")[0]
    config, prefix = named(parts, f"model_{end}_config.json"), {"weights": "weight", "constants": "tensor"}[end]
    buffer = io.BytesIO()
    torch.save(Evil(made), buffer)
    own = {"path_name": f"{prefix}_evil", "is_param": False, "use_pickle": True, "tensor_meta": None}
    known = json.loads(parts[config])["config"]
    changed = {
        config: json.dumps({"config": {name: own, **known}}).encode(),
        f"{root}/data/{end}/{prefix}_evil": buffer.getvalue(),
    }
    with pytest.raises(InputError, match="refused"):
        read_pt2(write(tmp_path / "net.pt2", parts | changed))
    assert not made.exists()


def test_names_that_pytorch_takes_for_others_are_refused(parts, tmp_path):
    """PyTorch finds the parts of an archive without regard to case."""
    made, config = tmp_path / "made", named(parts, "model_weights_config.json")
    root = config.partition("/")[0]
    buffer = io.BytesIO()
    torch.save(Evil(made), buffer)
    own = {"a": {"path_name": "weight_evil", "is_param": False, "use_pickle": True, "tensor_meta": None}}
    twice = {config.replace("config", "CONFIG"): json.dumps({"config": own}).encode()}
    twice[f"{root}/data/weights/weight_evil"] = buffer.getvalue()
    for changed in (twice, {f"{root}/data/constants/OPAQUE_obj_0": pickle.dumps(Evil(made))}):
        with pytest.raises(InputError, match="refused"):
            read_pt2(write(tmp_path / "net.pt2", parts | changed))
        assert not made.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x00" * 100])
def test_what_is_no_archive_is_one_sentence(content, tmp_path):
    (tmp_path / "net.pt2").write_bytes(content)
    with pytest.raises(InputError, match=r"net\.pt2"):
        read_pt2(tmp_path / "net.pt2")


def test_expressions_without_end_are_refused():
    assert not is_harmless("(" * 20_000 + ")" * 20_000)
    assert not is_harmless("lambda: 0")
    for endless in (
        "9**9**9**9",
        "Pow(9, Pow(9, 9))",
        "1 << 2**40",
        "((9**64)**64)**64",
        "Pow(Pow(9, 64), 64)",
        "2**x",
    ):
        assert not is_harmless(endless)
    assert is_harmless("Pow(Symbol('s0', integer=True), Integer(2)) + s1**-1 + (s0 << 2)")
    assert not is_harmless("[x for x in (1, 2)]")
