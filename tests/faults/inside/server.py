"""Forks commands from a process that has imported everything, so that a command begins with its work.

Every line of the input is a request, every line of the output its answer, as JSON: `{"words", "cwd", "out", "err",
"environment"}` starts a command and gives its `pid`; `{"pid"}` gives its `code`, null while it runs.
"""

import json
import os
import runpy
import sys
from importlib import import_module

import sitecustomize

from withstand.cli import COMMANDS

LATER = ("withstand.stacked.trials", "withstand.commands.drawing", "withstand.pools.local_pool", "torch.utils.data")


def serve() -> dict:
    """Answer requests; return the request in each child."""
    for line in sys.stdin:
        request = json.loads(line)
        if "pid" in request:
            pid, status = os.waitpid(request["pid"], os.WNOHANG)
            answer = {"code": os.waitstatus_to_exitcode(status) if pid else None}
        else:
            pid = os.fork()
            if pid == 0:
                return request
            answer = {"pid": pid}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    raise SystemExit


for name in (*(f"withstand.commands.{each}" for each in COMMANDS), *LATER):
    import_module(name)
import polars  # noqa: E402, F401

asked = serve()
for place, handle in ((os.devnull, 0), (asked["out"], 1), (asked["err"], 2)):
    os.dup2(os.open(place, os.O_RDWR | os.O_CREAT | os.O_APPEND), handle)
os.chdir(asked["cwd"])
os.environ.update(asked["environment"])
del os.environ["FAULTS_LATER"]
sitecustomize.install()
sys.argv = ["withstand", *asked["words"]]
os.setsid()
runpy.run_module("withstand", run_name="__main__", alter_sys=True)
