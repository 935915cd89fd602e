"""Benchmarks on a GPU: what happens without one, and where the figures go with one."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

FOLDER = Path(__file__).parents[2] / "benchmarks"
WITH_DEVICE = [each for each in sorted(FOLDER.glob("*.py")) if 'add_argument("--device"' in each.read_text()]


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import gpu

    yield gpu
    for name in ("gpu", "devices", "training"):
        sys.modules.pop(name, None)


def test_without_a_gpu_it_ends_with_status_2_and_a_reason_in_json(gpu, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    with pytest.raises(SystemExit) as ended:
        gpu.main()
    out, error = capsys.readouterr()
    assert ended.value.code == 2
    assert json.loads(out)["error"] == "no CUDA device"
    assert error.count("\n") == 1


@pytest.mark.parametrize("path", WITH_DEVICE, ids=lambda path: path.stem)
def test_every_benchmark_with_a_device_checks_it_and_runs_with_the_others(path, gpu):
    assert "check_device(options.device" in path.read_text()
    assert path.stem in gpu.BENCHMARKS
    for option in gpu.BENCHMARKS[path.stem][1], *gpu.BENCHMARKS[path.stem][0]:
        assert not option.startswith("--") or f'"{option}"' in path.read_text()


def test_figures_are_kept_in_files_named_after_the_card(gpu, monkeypatch, tmp_path):
    calls = []

    def run(words, **options):
        calls.append(words)
        if "--json" in words or "--output" in words:
            Path(words[-1]).write_text("{}")
        return SimpleNamespace(returncode=0 if "trials.py" not in words[1] else 2)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H100 80GB HBM3")
    monkeypatch.setattr(gpu.subprocess, "run", run)
    monkeypatch.setattr(gpu, "git", lambda *words: "")
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--results", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        gpu.main()
    assert not ended.value.code
    content = json.loads((tmp_path / "gpu-nvidia-h100-80gb-hbm3.json").read_text())
    assert content["card"] == "NVIDIA H100 80GB HBM3"
    by = {each["part"]: each for each in content["parts"]}
    assert by.keys() == {"tests", *gpu.BENCHMARKS}
    assert by["corruptions"]["file"] == "corruptions-nvidia-h100-80gb-hbm3.json"
    assert by["trials"]["exit"] == 2
    assert calls[0][1:4] == ["-m", "pytest", "-m"]
    assert all(words[words.index("--device") + 1] == "cuda" for words in calls[1:])
