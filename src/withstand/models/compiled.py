"""Models whose calls are compiled."""

from torch import Tensor, nn, no_grad

from withstand.errors import InputError, told
from withstand.models.frozen import evaluating

# Dropout then draws the numbers that it draws without compilation.
OPTIONS = {"fallback_random": True}
CALL = "_compiled_call_impl"  # attribute of modules that PyTorch's `Module.compile` sets


def compile_calls(model: nn.Module, x: Tensor) -> None:
    """Compile the calls of a model in place, by `torch.compile`; its parts and its state dict stay as they are.

    Args:
        model: Maps inputs to logits; on the device of the inputs.
        x: Inputs to compile for; other batch sizes are compiled when they come.

    Raises:
        InputError: If the device is an Apple GPU, or the model or the machine does not allow it.
    """
    if x.device.type not in ("cpu", "cuda"):
        raise InputError(f"compile: expected a CPU or a CUDA device, got {x.device.type}; leave it out.")
    model.compile(options=OPTIONS)
    try:
        with no_grad(), evaluating(model):
            model(x)
    except Exception as problem:  # of the model, of the compiler, or of a C++ compiler that is missing
        restore_calls(model)
        raise InputError(
            f"compile: {type(model).__name__} cannot be compiled here ({told(problem)}); leave it out."
        ) from problem


def restore_calls(model: nn.Module) -> None:
    """Call a model again without compilation."""
    vars(model).pop(CALL, None)
