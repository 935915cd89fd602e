"""Training on one machine and on several: real agents of torchrun, on loopback."""

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

STEPS, SECONDS = 10, 240
SCRIPT = f"""
import sys

import torch
from safetensors.torch import save_file

from withstand import Adam, Digits, Engine, Gaussian, MLP, PerturbedRisk, Training
from withstand.training.trainer import Trainer

engine = Engine.start(device="cpu")
split = Digits().load("train").select(torch.arange({STEPS} * 50))
model = MLP(hidden=(32,)).build(split.shape, 10, seed=0)
training = Training(epochs=1, batch_size=50, optimizer=Adam(lr=0.01), clip_norm=1.0)
options = {{"objective": PerturbedRisk(perturbation=Gaussian(std=0.1)), "training": training, "seed": 0}}
trainer = Trainer(model, split, engine=engine, **options)
trainer.fit()
assert trainer.done == {STEPS}
save_file({{**model.state_dict(), "processes": torch.tensor(engine.world_size)}}, f"{{sys.argv[1]}}-{{engine.rank}}")
"""

pytestmark = pytest.mark.slow


def port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def run(words: list[str], folder: Path) -> None:
    launcher = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    environment = {name: value for name, value in os.environ.items() if name not in launcher}
    environment |= {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        timeout=SECONDS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def agent(node: int, nodes: int, processes: int, at: int, name: str, folder: Path) -> None:
    place = ["--master-addr", "127.0.0.1", "--master-port", str(at)]
    number = ["--nnodes", str(nodes), "--node-rank", str(node), "--nproc-per-node", str(processes)]
    run(["-m", "torch.distributed.run", *number, *place, "script.py", name], folder)


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> dict[str, list[dict[str, torch.Tensor]]]:
    """The weights of every process: of one alone, of two of one agent, and of one each of two agents."""
    folder = tmp_path_factory.mktemp("processes")
    (folder / "script.py").write_text(SCRIPT)
    run(["script.py", "one"], folder)
    agent(0, 1, 2, port(), "local", folder)
    at = port()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda node: agent(node, 2, 1, at, "nodes", folder), (0, 1)))
    return {name: [load_file(each) for each in sorted(folder.glob(f"{name}-*"))] for name in ("one", "local", "nodes")}


def test_two_nodes_give_the_bits_of_two_local_processes(weights):
    assert [int(each["processes"]) for each in weights["nodes"]] == [2, 2]
    expected = weights["local"][0]
    for each in (*weights["local"], *weights["nodes"]):
        assert each.keys() == expected.keys()
        assert all(torch.equal(own, expected[name]) for name, own in each.items())


def test_two_processes_give_the_weights_of_one_after_ten_steps(weights):
    (one,) = weights["one"]
    assert int(one.pop("processes")) == 1
    for name, own in one.items():
        torch.testing.assert_close(weights["nodes"][0][name], own, rtol=0, atol=1e-5)
