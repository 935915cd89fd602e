"""Doors with a planted fault each, run by the fuzzer's own runner; prints the outcomes as JSON."""

import json
import random
import sys
import tempfile
from pathlib import Path

from fuzzing.case import Case, Door
from fuzzing.runner import Limits, Runner

FAULTS = {
    "fine": "pass",
    "refusal": "from withstand.errors import InputError; raise InputError('x: expected a number, got text.')",
    "two lines": "import sys; sys.stderr.write('Traceback (most recent call last):\\n')",
    "crash": "{}['key']",
    "exit": "raise SystemExit(0)",
    "hang": "while True: pass",
    "sleep": "import time; time.sleep(60)",
    "memory": "import time; x = bytearray(b'1') * (400 << 20); time.sleep(60)",
    "signal": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "write outside": "open('../outside/new', 'w')",
    "change outside": "open('../outside/kept', 'a')",
    "remove outside": "import os; os.remove('../outside/kept')",
    "link outside": "import os; os.symlink('../outside', 'link'); open('link/new', 'w')",
    "write inside": "open('new', 'w').write('x'); import shutil, os; os.mkdir('a'); os.mkdir('a/b'); shutil.rmtree('a')",
    "workers": "from multiprocessing import util; util.get_temp_dir()",
    "process": "import subprocess; subprocess.run(['touch', 'x'])",
    "shell": "import os; os.system('touch x')",
    "pickle": "import pickle; pickle.loads(b\"cos\\nsystem\\n(S'touch executed'\\ntR.\")",
    "yaml": "import yaml; yaml.unsafe_load(\"!!python/object/apply:os.system ['touch executed']\")",
    "connection": "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)",
    "swallowed": "try:\n    open('../outside/new', 'w')\nexcept BaseException:\n    pass",
    "evaluated": "eval('\"executed\" * 2')",
    "many forks": "import os\nfor _ in range(40):\n    os.fork() or os._exit(0)",
}


def planted(code: str) -> Door:
    """Return a door whose only input is some code."""

    def door(rng: random.Random, place: Path, fixtures: Path) -> Case:
        return Case(code=code, damage="none")

    return door


def main() -> None:
    """Run every fault, with small limits."""
    limits = Limits(seconds=1.5, patience=1.5, memory=300 << 20)
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(Path(folder), Path(folder) / "work", limits=limits)
        outcomes = {
            name: vars(runner.run({name: (1, planted(code))}, seed=0, number=0)) for name, code in FAULTS.items()
        }
    sys.stdout.write(json.dumps(outcomes))


if __name__ == "__main__":
    main()
