"""Reading any torch model of supported layers as a target, by following its forward pass.

`target(module, shape)` gives a plain `Target` where the model is a stack of Linear and ReLU, and a
`Network` otherwise. BatchNorm in evaluation mode is folded into the layer before it, in float64:
the folded network is the target. An addition's operand that no layer of weights has made, such as a
block's input, is carried by a layer of its own with the identity's weights: in the source that
layer is the identity diamond x = σ(x) − σ(−x) of random weights, since a random network holds no
identities (Burkholz 2022); `shortcuts="kept"` leaves such shortcuts as the source's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from slth.errors import BadInput
from slth.network import Network
from slth.target import Target, _numpy, _refuse_hidden_weights
from slth.target import from_module as plain
from slth.wiring import Activation, Add, Affine, Flatten, Pool, Shape, Step, Wiring, _after

if TYPE_CHECKING:
    from torch import fx, nn

Floats = NDArray[np.float64]
Shortcuts = Literal["gadgets", "kept"]
SUPPORTED = (
    "Linear, Conv2d (groups 1), BatchNorm after either, ReLU, LeakyReLU, Tanh, Sigmoid, Softplus, "
    "MaxPool2d, AvgPool2d, global average pooling, Flatten, Dropout, Identity, additions"
)
REMEDY = "replace it, or split the model there and make a ticket of each part"


def target(
    module: nn.Module, shape: Sequence[int] | None = None, shortcuts: Shortcuts = "gadgets"
) -> Target | Network:
    """The model as a target. shape: of one input; needed unless the model begins with Linear. Of
    attention and encoders, (tokens, channels).

    Raises BadInput naming the first layer that is not supported and its place.
    """
    from torch import nn

    if isinstance(
        module, nn.MultiheadAttention | nn.TransformerEncoderLayer | nn.TransformerEncoder
    ):
        return _attends(module, shape)
    kinds = {type(part) for part in module.modules()}
    if kinds <= {nn.Sequential, nn.Linear, nn.ReLU, nn.Flatten, nn.Identity}:
        return plain(module)
    return network(module, shape, shortcuts)


def _attends(module: Any, shape: Sequence[int] | None) -> Network:
    from torch import nn

    from slth.attention import attention, encoder

    alone = isinstance(module, nn.MultiheadAttention)
    inner = module if alone else getattr(module, "layers", [module])[0].self_attn
    if shape is None or len(shape) != 2 or shape[1] != inner.embed_dim:
        allowed = f"(tokens, {inner.embed_dim})"
        raise BadInput(
            "shape", shape, allowed, f"give shape (--shape), such as 16,{inner.embed_dim}"
        )
    return attention(module, int(shape[0])) if alone else encoder(module, int(shape[0]))


def network(
    module: nn.Module, shape: Sequence[int] | None = None, shortcuts: Shortcuts = "gadgets"
) -> Network:
    """The model as a `Network`, plain stacks too."""
    from torch import fx

    if shortcuts not in ("gadgets", "kept"):
        raise BadInput("shortcuts", shortcuts, "gadgets, kept", "choose one")
    try:
        graph = fx.Tracer().trace(module)
    except Exception as error:
        got = f"{type(error).__name__}: {error}"
        allowed = "a forward pass without branches on the data"
        raise BadInput("model", got, allowed, "make it traceable by torch.fx") from None
    parts = dict(module.named_modules())
    return _Reader(parts, _first_shape(graph, parts, shape), shortcuts).read(graph)


def _first_shape(
    graph: fx.Graph, parts: dict[str, nn.Module], shape: Sequence[int] | None
) -> Shape:
    from torch import nn

    if shape is not None:
        return tuple(int(size) for size in shape)
    for node in graph.nodes:
        if node.op == "call_module" and type(parts[node.target]) is nn.Linear:
            return (int(cast(nn.Linear, parts[node.target]).in_features),)
        if node.op not in ("placeholder",):
            break
    remedy = "give shape (--shape), such as 1,28,28"
    raise BadInput("shape", "none", "that of one input, where no Linear comes first", remedy)


class _Reader:
    """Steps, weights and biases as they are met; which value each node of the graph is."""

    def __init__(self, parts: dict[str, nn.Module], shape: Shape, shortcuts: Shortcuts) -> None:
        self.parts, self.shortcuts = parts, shortcuts
        self.steps: list[Step] = []
        self.shapes: list[Shape] = [shape]
        self.weights: list[Floats] = []
        self.biases: list[Floats | None] = []
        self.values: dict[fx.Node, int] = {}

    def read(self, graph: fx.Graph) -> Network:
        for node in graph.nodes:
            if node.op == "placeholder":
                if self.values:
                    raise self._refuse(node, "a second input", "one input")
                self.values[node] = 0
            elif node.op == "output":
                last = node.args[0]
                if last not in self.values:
                    raise self._refuse(node, f"output {last}", "one tensor")
                return self._network(self.values[last])
            elif node.op == "call_method" and node.target == "size":
                continue  # of x.view(x.size(0), -1)
            else:
                self.values[node] = self._value(node)
        raise BadInput("model", "no output", "one tensor", "return it")

    def _network(self, last: int) -> Network:
        if not self.weights:
            raise BadInput("model", "no layer with weights", SUPPORTED, "nothing to approximate")
        wiring = Wiring(self.shapes[0], tuple(self.steps[:last]))
        return Network(wiring, tuple(self.weights), tuple(self.biases))

    def _value(self, node: fx.Node) -> int:
        """The number of the value that this node is; new steps as it needs them."""
        from torch import nn

        given = [self.values[cast("fx.Node", a)] for a in node.args if a in self.values]
        if node.op == "call_module":
            return self._module(node, self.parts[str(node.target)], given[0])
        name = _name(node.target)
        if name in ("add", "iadd", "add_") and len(given) == 2 and not node.kwargs:
            return self._add(node, *given)
        if len(given) != 1 or node.op not in ("call_function", "call_method"):
            raise self._refuse(node, name)
        rest = [a for a in node.args if a not in self.values]
        if name in ("relu", "relu_", "tanh", "sigmoid", "softplus") and not rest:
            return self._step(node, Activation(given[0], name.rstrip("_")))  # type: ignore[arg-type]
        if name == "leaky_relu":
            slope = float(node.kwargs.get("negative_slope", rest[0] if rest else 0.01))  # type: ignore[arg-type]
            return self._step(node, Activation(given[0], "leaky_relu", slope))
        if name in ("flatten", "view", "reshape") and _flattens(name, rest, dict(node.kwargs)):
            return self._step(node, Flatten(given[0]))
        if name in ("max_pool2d", "avg_pool2d"):
            make = nn.MaxPool2d if name == "max_pool2d" else nn.AvgPool2d
            options = {k: v for k, v in node.kwargs.items() if k != "return_indices"}
            return self._module(node, make(*rest, **options), given[0])  # type: ignore[arg-type]
        if name == "adaptive_avg_pool2d":
            return self._module(node, nn.AdaptiveAvgPool2d(*rest), given[0])  # type: ignore[arg-type]
        if name == "mean" and [*rest, *node.kwargs.values()][:1] in ([(2, 3)], [[2, 3]]):
            pooled = self._module(node, nn.AdaptiveAvgPool2d(1), given[0])
            return self._step(node, Flatten(pooled))
        raise self._refuse(node, name)

    def _module(self, node: fx.Node, part: nn.Module, of: int) -> int:
        from torch import nn

        if isinstance(part, nn.Identity | nn.Dropout | nn.Dropout2d):
            return of
        if isinstance(part, nn.Linear | nn.Conv2d):
            return self._weights(node, part, of)
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            return self._fold(node, part, of)
        if isinstance(part, nn.LeakyReLU):
            return self._step(node, Activation(of, "leaky_relu", float(part.negative_slope)))
        kinds: dict[type, Any] = {nn.ReLU: "relu", nn.Tanh: "tanh", nn.Sigmoid: "sigmoid"}
        kinds[nn.Softplus] = "softplus" if getattr(part, "beta", 1) == 1 else None
        if kinds.get(type(part)) is not None:
            return self._step(node, Activation(of, kinds[type(part)]))
        if type(part) is nn.Flatten and (part.start_dim, part.end_dim) == (1, -1):
            return of if len(self.shapes[of]) == 1 else self._step(node, Flatten(of))
        if isinstance(part, nn.MaxPool2d | nn.AvgPool2d):
            return self._pool(node, part, of)
        if isinstance(part, nn.AdaptiveAvgPool2d) and part.output_size in (1, (1, 1)):
            sides = self.shapes[of][1:]
            if len(sides) == 2:
                whole = (int(sides[0]), int(sides[1]))
                return self._step(node, Pool(of, "average", whole, whole))
        raise self._refuse(node, type(part).__name__)

    def _weights(self, node: fx.Node, part: nn.Linear | nn.Conv2d, of: int) -> int:
        from torch import nn

        _refuse_hidden_weights(str(node.target), part)  # type: ignore[arg-type]
        weight = _numpy(part.weight)
        kernel, stride, padding = None, (1, 1), (0, 0)
        if isinstance(part, nn.Conv2d):
            plain_padding = part.padding_mode == "zeros" and not isinstance(part.padding, str)
            if part.groups != 1 or part.dilation != (1, 1) or not plain_padding:
                got = f"Conv2d with groups {part.groups}, dilation {part.dilation}, "
                got += f"padding {part.padding!r} of {part.padding_mode}"
                raise self._refuse(node, got, "groups 1, dilation 1, numbers of zeros as padding")
            kernel = (weight.shape[2], weight.shape[3])
            stride, padding = tuple(part.stride), tuple(part.padding)  # type: ignore[assignment]
        step = Affine(
            of, len(self.weights), weight.shape[1], weight.shape[0], kernel, stride, padding
        )
        made = self._step(node, step)
        self.weights.append(weight)
        self.biases.append(None if part.bias is None else _numpy(part.bias))
        return made

    def _fold(self, node: fx.Node, part: nn.BatchNorm1d | nn.BatchNorm2d, of: int) -> int:
        step = self.steps[of - 1] if of else None
        alone = (
            sum(value == of for value in self.values.values()) == 1
            and len([user for before in node.all_input_nodes for user in before.users]) == 1
        )
        if not isinstance(step, Affine) or not alone or part.running_mean is None:
            got = f"{type(part).__name__} that does not follow a layer of its own"
            raise self._refuse(node, got, "BatchNorm with running statistics right after a layer")
        assert part.running_var is not None
        mean, variance = _numpy(part.running_mean), _numpy(part.running_var)
        scale = 1 / np.sqrt(variance + part.eps)
        scale = scale if part.weight is None else scale * _numpy(part.weight)
        shift = 0.0 if part.bias is None else _numpy(part.bias)
        weight, bias = self.weights[step.layer], self.biases[step.layer]
        self.weights[step.layer] = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
        self.biases[step.layer] = ((0.0 if bias is None else bias) - mean) * scale + shift
        return of

    def _pool(self, node: fx.Node, part: nn.MaxPool2d | nn.AvgPool2d, of: int) -> int:
        from torch import nn

        plain_pool = _two(part.padding) == (0, 0) and not part.ceil_mode
        if isinstance(part, nn.MaxPool2d):
            plain_pool &= _two(part.dilation) == (1, 1) and not part.return_indices
        else:
            plain_pool &= part.divisor_override is None
        if not plain_pool:
            raise self._refuse(node, f"{part}", "pooling without padding, dilation and ceil_mode")
        kind: Literal["average", "largest"] = (
            "largest" if isinstance(part, nn.MaxPool2d) else "average"
        )
        return self._step(node, Pool(of, kind, _two(part.kernel_size), _two(part.stride)))

    def _add(self, node: fx.Node, one: int, other: int) -> int:
        if self.shortcuts == "gadgets":
            one, other = (self._carried(node, value) for value in (one, other))
        return self._step(node, Add(one, other))

    def _carried(self, node: fx.Node, value: int) -> int:
        """The value itself if weights made it, else what an identity layer makes of it."""
        if value and isinstance(self.steps[value - 1], Affine):
            return value
        channels, *sides = self.shapes[value]
        kernel = (1, 1) if sides else None
        made = self._step(node, Affine(value, len(self.weights), channels, channels, kernel))
        self.weights.append(np.eye(channels).reshape(channels, channels, *[1] * len(sides)))
        self.biases.append(None)
        return made

    def _step(self, node: fx.Node, step: Step) -> int:
        shape = _after(step, self.shapes)
        if shape is None:
            got = f"{type(step).__name__} on an input of shape {self.shapes[step.of]}"
            raise self._refuse(node, got, "sizes that fit, padding of at most half a kernel")
        self.steps.append(step)
        self.shapes.append(shape)
        return len(self.steps)

    def _refuse(self, node: fx.Node, got: str, allowed: str = SUPPORTED) -> BadInput:
        place = str(node.target) if node.op == "call_module" else node.name
        return BadInput("model", f"{got} at {place}", allowed, REMEDY)


def _name(target: Any) -> str:
    return target if isinstance(target, str) else getattr(target, "__name__", str(target))


def _two(value: Any) -> tuple[int, int]:
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _flattens(name: str, rest: list[Any], options: dict[str, Any]) -> bool:
    """Whether the call keeps the batch and makes one row of all else."""
    if name == "flatten":
        start = rest[0] if rest else options.get("start_dim", 0)
        end = rest[1] if len(rest) > 1 else options.get("end_dim", -1)
        return (start, end) == (1, -1)
    return len(rest) == 2 and rest[1] == -1 and not options
