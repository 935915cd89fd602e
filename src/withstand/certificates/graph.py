"""Graph: a network as a list of layers with rules."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate, map_arg

from withstand.certificates.activations import Activation
from withstand.certificates.affine import Affine, Convolution, Linear, Reshape, Scale, fold
from withstand.certificates.joining import Concatenation, Sum
from withstand.certificates.layers import FUNCTIONS, MODULES, Refused, Value
from withstand.certificates.pooling import Maximum
from withstand.errors import InputError
from withstand.models.frozen import evaluating
from withstand.models.normalize import Normalize
from withstand.models.wrappers.mixed_precision import check_float32

NUM_EXAMPLES = 2  # so that an axis of size 1 is not mistaken for the batch axis
WAY_OUT = "randomised smoothing (`--on smoothing`) certifies any network"
Operation = Affine | Activation | Maximum | Sum | Concatenation


class Node(NamedTuple):
    """A layer.

    Attributes:
        operation: Its rule; None for the input.
        inputs: Numbers of the nodes that it takes.
        shape: Shape of its output for one sample.
    """

    operation: Operation | None
    inputs: tuple[int, ...]
    shape: torch.Size


class Graph(NamedTuple):
    """A network in evaluation mode: its layers in the order of computation, from the input to the logits.

    Attributes:
        nodes: The layers.
    """

    nodes: tuple[Node, ...]

    @property
    def num_outputs(self) -> int:
        """The number of logits."""
        return self.nodes[-1].shape[0]

    @property
    def widest(self) -> int:
        """The largest number of values of a layer."""
        return max(each.shape.numel() for each in self.nodes)

    def is_settled(self, number: int) -> bool:
        """Return whether lines cannot tighten a node's interval: input, activations, pooling, and their reshapes."""
        node = self.nodes[number]
        if isinstance(node.operation, Reshape):
            return self.is_settled(node.inputs[0])
        return node.operation is None or isinstance(node.operation, Activation | Maximum)

    def is_exact(self, number: int) -> bool:
        """Return whether intervals of the input give exact ones of a node: at most one layer mixes inputs before it."""
        mixing = 0
        while self.nodes[number].operation is not None:
            node = self.nodes[number]
            if not isinstance(node.operation, Affine):
                return False
            mixing += node.operation.mixes
            number = node.inputs[0]
        return mixing <= 1


def trace(model: nn.Module, shape: tuple[int, ...], *, who: str) -> Graph:
    """Return the layers of a network in evaluation mode.

    Args:
        model: Maps inputs to logits; not modified. Its weights are used as they are now.
        shape: Shape of one input.
        who: Name at the beginning of errors.

    Raises:
        InputError: If a layer has no rule, the model computes in mixed precision, or the computation depends on the
            values of the input.

    Example:
        >>> graph = trace(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), (3,), who="Example")
        >>> [type(each.operation).__name__ for each in graph.nodes]
        ['NoneType', 'Linear', 'Rectifier', 'Linear']
    """
    check_float32(model, who=who)
    with evaluating(model):
        try:
            steps = _Tracer().trace(model)
        except Exception as problem:  # code of users that branches on values ends in almost any error
            raise InputError(
                f"{who}: bounds need a network without branches, loops or conversions to numbers that depend on its "
                f"input, got {type(model).__name__}{_line(problem)}; {WAY_OUT}."
            ) from problem
        found = _Walk(model, shape, who)
        with torch.no_grad():
            for step in steps.nodes:
                found.add(step)
    return found.close()


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, Normalize) or super().is_leaf_module(m, module_qualified_name)


class _Walk:
    """Computes every step on an example, and collects the rules of those that depend on the input."""

    def __init__(self, model: nn.Module, shape: tuple[int, ...], who: str) -> None:
        self.model, self.shape, self.who = model, torch.Size(shape), who
        self.values: dict[fx.Node, Any] = {}
        self.nodes: list[Node] = []
        like = next((each for each in model.parameters()), next(iter(model.buffers()), torch.zeros(1)))
        self.example = torch.zeros(NUM_EXAMPLES, *shape, dtype=like.dtype, device=like.device)

    def add(self, step: fx.Node) -> None:
        """Compute one step."""
        if step.op == "placeholder":
            if self.nodes:
                raise InputError(f"{self.who}: the network must take one input, got another one, {step.target}.")
            self.nodes.append(Node(None, (), self.shape))
            self.values[step] = Value(0, self.example)
        elif step.op == "get_attr":
            self.values[step] = _attribute(self.model, str(step.target))
        elif step.op == "output":
            self.output = self.values.get(step.args[0]) if isinstance(step.args[0], fx.Node) else None
        else:
            self._call(step)

    def close(self) -> Graph:
        """Return the graph up to the output."""
        output = getattr(self, "output", None)
        if not isinstance(output, Value) or output.example.ndim != 2:
            raise InputError(f"{self.who}: the network must return logits of shape (batch, class).")
        return Graph(tuple(self.nodes[: output.number + 1]))

    def _call(self, step: fx.Node) -> None:
        arguments = map_arg(step.args, lambda each: self.values[each])
        named = map_arg(step.kwargs, lambda each: self.values[each])
        layer = self.model.get_submodule(str(step.target)) if step.op == "call_module" else None
        function = layer or (getattr(torch.Tensor, str(step.target)) if step.op == "call_method" else step.target)
        assert isinstance(function, Callable)
        result = function(*map_aggregate(arguments, _plain), **map_aggregate(named, _plain))  # pyright: ignore
        given = _given([*arguments, *named.values()])
        if not given or not isinstance(result, Tensor):
            self.values[step] = result
            return
        known = MODULES.get(type(layer)) if layer is not None else FUNCTIONS.get(_name(step.target))
        name = type(layer).__name__ if layer is not None else _name(step.target)
        if known is None or len(result) != NUM_EXAMPLES:
            raise InputError(f"{self.who}: the layer {name} has no rule for bounds; {WAY_OUT}.")
        try:
            operation = known(layer, *given, result) if layer is not None else known(result, *arguments, **named)
        except Refused as problem:
            raise InputError(f"{self.who}: the layer {name} has no rule for bounds {problem}; {WAY_OUT}.") from problem
        except TypeError as problem:  # the rule does not take these arguments
            what = f"the layer {name} has no rule for bounds with these arguments"
            raise InputError(f"{self.who}: {what}; {WAY_OUT}.") from problem
        self.values[step] = self._append(operation, given, result, step)

    def _append(
        self, operation: Operation | tuple[Affine, Affine] | None, given: list[Value], result: Tensor, step: fx.Node
    ) -> Value:
        if operation is None:  # the identity
            return Value(given[0].number, result)
        if isinstance(operation, tuple):
            first, operation = operation
            self.nodes.append(Node(first, (given[0].number,), first.after))
            self.nodes.append(Node(operation, (len(self.nodes) - 1,), operation.after))
            return Value(len(self.nodes) - 1, result)
        shape, inputs = torch.Size(result.shape[1:]), tuple(each.number for each in given)
        before = self.nodes[inputs[0]]
        alone = inputs[0] == len(self.nodes) - 1 and all(len(each.users) == 1 for each in step.all_input_nodes)
        if isinstance(operation, Scale) and isinstance(before.operation, Linear | Convolution) and alone:
            folded = fold(before.operation, operation)
            if folded is not None:
                self.nodes[-1] = before._replace(operation=folded)
                return Value(inputs[0], result)
        self.nodes.append(Node(operation, inputs, shape))
        return Value(len(self.nodes) - 1, result)


def _line(problem: BaseException) -> str:
    """Return the line of user code at which following a network failed, in brackets; empty if there is none."""
    frames = traceback.extract_tb(problem.__traceback__)
    ours = tuple(str(each) for each in (Path(torch.__file__).parent, Path(__file__).parents[1]))
    own = [each for each in frames if not each.filename.startswith(ours)]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno}: {own[-1].line})" if own and own[-1].line else ""


def _given(arguments: list[Any]) -> list[Value]:
    """Return the values that depend on the input, among arguments and lists of them."""
    found = []
    for each in arguments:
        if isinstance(each, Value):
            found.append(each)
        elif isinstance(each, tuple | list):
            found += _given(list(each))
    return found


def _plain(each: Any) -> Any:
    return each.example if isinstance(each, Value) else each


def _name(target: Any) -> str:
    return target if isinstance(target, str) else getattr(target, "__name__", str(target))


def _attribute(model: nn.Module, path: str) -> Any:
    found: Any = model
    for name in path.split("."):
        found = getattr(found, name)
    return found.detach() if isinstance(found, Tensor) else found
