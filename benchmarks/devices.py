"""The device of a benchmark: whether it is there, when it has finished, and what it is called."""

import json
import platform
import re
import sys
import time

import torch

ABSENT = "no CUDA device"


def check_device(device: str) -> None:
    """End with status 2 if the device is a GPU and there is none; say so in JSON on stdout and in words on stderr."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        print(json.dumps({"error": ABSENT, "device": device, "torch": torch.__version__}))
        print(f"device: {device} is not available: PyTorch {torch.__version__} finds {ABSENT}.", file=sys.stderr)
        raise SystemExit(2)


def now(device: str, *, processor: bool = True) -> float:
    """Return the time at which a GPU has finished; on a CPU the processor time, or the wall time."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time() if processor else time.perf_counter()


def card(device: str) -> str:
    """Return the name of a GPU, or of the processor."""
    return torch.cuda.get_device_name() if device.startswith("cuda") else platform.processor() or platform.machine()


def file_name(name: str) -> str:
    """Return the name of a card as part of a file's name.

    Example:
        >>> file_name("NVIDIA H100 80GB HBM3")
        'nvidia-h100-80gb-hbm3'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
