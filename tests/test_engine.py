import pytest
import torch
import torch.distributed as dist

from withstand.engine import Engine, join_group, leave_group
from withstand.errors import InputError


def test_a_launcher_that_sets_only_the_number_of_processes_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(InputError, match=r"^processes: .*RANK"):
        Engine.start(device="cpu")


def test_joining_uses_gloo_on_a_cpu_and_every_exchange_works(monkeypatch, tmp_path):
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_PORT", "0")
    try:
        assert join_group("cpu") == torch.device("cpu")
        assert join_group("cpu") == torch.device("cpu")  # a second engine in the same process
        assert dist.get_backend() == "gloo"
        engine = Engine(rank=0, world_size=2)
        assert engine.gather({"a": 1}) == [{"a": 1}, None]
        assert engine.of_first("b") == "b"
        engine.wait()
    finally:
        leave_group()
    assert not dist.is_initialized()
