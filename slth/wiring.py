"""What is connected to what in a network, without its weights: one list of steps.

Value 0 is the input, step k makes value k + 1 from earlier values, the last value is the output. A
target and the random network that is to hold it have the same wiring: where the target has one
affine layer, the source has two random layers (`slth.source`), and everything between, activations,
pooling, flattening and additions, is the same function in both.

Shapes are those of one example: `(d,)`, or `(channels, height, width)` for images.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, final

from slth.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, ...]
Two = tuple[int, int]
LIPSCHITZ = {"relu": 1.0, "leaky_relu": 1.0, "tanh": 1.0, "sigmoid": 0.25, "softplus": 1.0}
# every one is monotone, so that ranges go through by their ends


@final
@dataclass(frozen=True)
class Affine:
    """Layer number `layer`, of `outputs` by `inputs` weights (and biases): a matrix, or with a
    `kernel` as many taps each, a convolution. All weights of one layer belong to one Affine."""

    of: int
    layer: int
    inputs: int
    outputs: int
    kernel: Two | None = None
    stride: Two = (1, 1)
    padding: Two = (0, 0)

    @property
    def taps(self) -> int:
        return 1 if self.kernel is None else self.kernel[0] * self.kernel[1]

    @property
    def middle(self) -> int:
        """The tap that reads the pixel itself, which padding never replaces by a zero."""
        return 0 if self.kernel is None else self.padding[0] * self.kernel[1] + self.padding[1]


@final
@dataclass(frozen=True)
class Activation:
    """An activation function of one number; `slope`: of leaky_relu below zero, in [0, 1]."""

    of: int
    kind: Literal["relu", "leaky_relu", "tanh", "sigmoid", "softplus"]
    slope: float = 0.0

    def __call__(self, x: Tensor) -> Tensor:
        from torch.nn import functional

        if self.kind == "leaky_relu":
            return functional.leaky_relu(x, self.slope)
        if self.kind == "softplus":
            return functional.softplus(x)
        act: Callable[[Tensor], Tensor] = getattr(x, self.kind)
        return act()  # type: ignore[call-arg]


@final
@dataclass(frozen=True)
class Pool:
    """The average or the largest pixel of every window."""

    of: int
    kind: Literal["average", "largest"]
    kernel: Two
    stride: Two

    def __call__(self, x: Tensor) -> Tensor:
        from torch.nn import functional

        pool = functional.avg_pool2d if self.kind == "average" else functional.max_pool2d
        return pool(x, self.kernel, self.stride)


@final
@dataclass(frozen=True)
class Flatten:
    """An image as a vector, channel by channel."""

    of: int


@final
@dataclass(frozen=True)
class Add:
    """The sum of two values."""

    of: int
    other: int


@final
@dataclass(frozen=True)
class Attend:
    """Self-attention of tokens, which are the pixels of `(channels, tokens, 1)`.

    keys, values: one value a head. The logit of token i for token j is the product of x_i and head
    h's key k_j, where a key of one channel more has its last channel for a constant 1; the output
    of token i is the sum over heads of the softmax over j times the values. With k = M x and
    values V x, M holds query and key weights and V value and output weights in one.
    """

    of: int
    keys: tuple[int, ...]
    values: tuple[int, ...]

    def logits(self, x: Tensor, keys: Tensor) -> Tensor:
        """`[batch, tokens, tokens]`, the token that asks first."""
        asks = x.flatten(2)
        if keys.shape[1] > x.shape[1]:
            asks = _torch().cat([asks, _torch().ones_like(asks[:, :1])], 1)
        return asks.transpose(1, 2) @ keys.flatten(2)

    def __call__(self, x: Tensor, keys: list[Tensor], values: list[Tensor]) -> Tensor:
        total: Tensor = _torch().zeros_like(values[0])
        for key, value in zip(keys, values, strict=True):
            shares = self.logits(x, key).softmax(dim=2)
            total = total + (value.flatten(2) @ shares.transpose(1, 2)).unsqueeze(-1)
        return total


@final
@dataclass(frozen=True)
class Normalise:
    """Every token's (pixel's) channels less their mean, over (their variance + epsilon)^½."""

    of: int
    epsilon: float

    def __call__(self, x: Tensor) -> Tensor:
        centred = x - x.mean(dim=1, keepdim=True)
        scale = (centred.square().mean(dim=1, keepdim=True) + self.epsilon).sqrt()
        found: Tensor = centred / scale
        return found


Step = Affine | Activation | Pool | Flatten | Add | Attend | Normalise
STEPS: dict[str, type[Step]] = {
    "affine": Affine,
    "activation": Activation,
    "pool": Pool,
    "flatten": Flatten,
    "add": Add,
    "attend": Attend,
    "normalise": Normalise,
}


def needs(step: Step) -> tuple[int, ...]:
    """The values that a step is made from."""
    if isinstance(step, Add):
        return step.of, step.other
    return (step.of, *step.keys, *step.values) if isinstance(step, Attend) else (step.of,)


@dataclass(frozen=True)
class Wiring:
    """shape: of one input; steps: in an order in which each finds what it needs."""

    shape: Shape
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(s) for s in self.shape))
        if len(self.shape) not in (1, 3) or min(self.shape) < 1:
            allowed = "(d,) or (channels, height, width)"
            raise BadInput("shape", self.shape, allowed, "pass the shape of one input")
        layers = [step.layer for step in self.steps if isinstance(step, Affine)]
        if not layers or sorted(layers) != list(range(len(layers))):
            raise BadInput("layers", layers, "each of 0, 1, … once", "number the affine layers")
        _ = self.shapes  # which checks that everything fits

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """Of every value, the input's first; BadInput where a step cannot take what it is given."""
        found = [self.shape]
        for place, step in enumerate(self.steps):
            for at in needs(step):
                if not 0 <= at <= place:
                    raise BadInput(f"step {place}", f"value {at}", f"0 … {place}", "reorder them")
            shape = _after(step, [*found])
            if shape is None:
                got = f"{step} on shape {found[step.of]}"
                raise BadInput(f"step {place}", got, "sizes that fit", "check the layer before it")
            found.append(shape)
        return tuple(found)

    @cached_property
    def affine(self) -> tuple[Affine, ...]:
        """The affine layers by number."""
        found = [step for step in self.steps if isinstance(step, Affine)]
        return tuple(sorted(found, key=lambda step: step.layer))

    @property
    def inputs(self) -> int:
        """Numbers in one input."""
        return math.prod(self.shape)

    @property
    def outputs(self) -> int:
        """Numbers in one output."""
        return math.prod(self.shapes[-1])

    @property
    def links(self) -> tuple[Two, ...]:
        """(inputs, outputs · taps) a layer: the weights of its matrix, a tap counted as an output,
        since every tap of every output channel is a gadget of its own (da Cunha et al. 2022)."""
        return tuple((step.inputs, step.outputs * step.taps) for step in self.affine)

    @property
    def linear(self) -> tuple[bool, ...]:
        """For every layer, whether it makes keys or values of attention: there a source has two
        matrices for one with nothing between, as its queries and keys are (Otsuka et al. 2025)."""
        attended = {at for s in self.steps if isinstance(s, Attend) for at in (*s.keys, *s.values)}
        made = {step.layer: k + 1 for k, step in enumerate(self.steps) if isinstance(step, Affine)}
        return tuple(made[layer] in attended for layer in range(len(made)))

    def signed(self, value: int) -> bool:
        """Whether the value may be negative: no, if nothing but ReLU and sigmoid made it so."""
        if value == 0:
            return True
        step = self.steps[value - 1]
        if isinstance(step, Attend | Normalise):
            return True
        if isinstance(step, Activation):
            return step.kind in ("leaky_relu", "tanh")
        if isinstance(step, Affine):
            return True
        if isinstance(step, Add):
            return self.signed(step.of) or self.signed(step.other)
        return self.signed(step.of)

    def run(self, x: Tensor, apply: Callable[[Affine, Tensor], Tensor]) -> list[Tensor]:
        """Every value for inputs `[batch, *shape]`, affine layers being what `apply` says."""
        found = [x]
        for step in self.steps:
            given = found[step.of]
            if isinstance(step, Affine):
                found.append(apply(step, given))
            elif isinstance(step, Add):
                found.append(given + found[step.other])
            elif isinstance(step, Flatten):
                found.append(given.flatten(1))
            elif isinstance(step, Attend):
                keys, values = ([found[at] for at in ats] for ats in (step.keys, step.values))
                found.append(step(given, keys, values))
            else:
                found.append(step(given))
        return found

    def to_json(self) -> dict[str, Any]:
        names = {kind: name for name, kind in STEPS.items()}
        steps = [{"step": names[type(step)], **asdict(step)} for step in self.steps]
        return {"shape": list(self.shape), "steps": steps}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Wiring:
        """What `to_json` wrote."""
        steps = []
        for given in data["steps"]:
            fields = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
            make: Callable[..., Step] = STEPS[str(fields.pop("step"))]
            steps.append(make(**fields))
        return Wiring(tuple(data["shape"]), tuple(steps))


def chain(dims: tuple[int, ...]) -> Wiring:
    """The wiring of fully connected layers of these widths with ReLU between."""
    steps: list[Step] = []
    for layer in range(len(dims) - 1):
        if layer:
            steps.append(Activation(len(steps), "relu"))
        steps.append(Affine(len(steps), layer, dims[layer], dims[layer + 1]))
    return Wiring(dims[:1], tuple(steps))


def _after(step: Step, shapes: list[Shape]) -> Shape | None:
    """The shape that a step makes, or None where it cannot be."""
    given = shapes[step.of]
    if isinstance(step, Attend):
        return _attended(step, shapes)
    if isinstance(step, Normalise):
        return given if len(given) == 3 and step.epsilon > 0 else None
    if isinstance(step, Activation):
        return given if step.kind in LIPSCHITZ and 0 <= step.slope <= 1 else None
    if isinstance(step, Add):
        return given if given == shapes[step.other] else None
    if isinstance(step, Flatten):
        return (math.prod(given),)
    if isinstance(step, Affine) and (step.inputs != given[0] or step.outputs < 1):
        return None
    if isinstance(step, Affine) and step.kernel is None:
        return (step.outputs,) if len(given) == 1 else None
    if len(given) != 3 or min(*(step.kernel or (0, 0)), *step.stride) < 1:
        return None
    padding = step.padding if isinstance(step, Affine) else (0, 0)
    assert step.kernel is not None
    ends = zip(given[1:], step.kernel, step.stride, padding, strict=True)
    sides = tuple((size + 2 * pad - kernel) // stride + 1 for size, kernel, stride, pad in ends)
    # more padding, and a bias could not be carried by a tap that always lies inside the image
    narrow = all(0 <= 2 * p < k for p, k in zip(padding, step.kernel, strict=True))
    if min(sides) < 1 or not narrow:
        return None
    return (step.outputs if isinstance(step, Affine) else given[0], *sides)


def _attended(step: Attend, shapes: list[Shape]) -> Shape | None:
    given, heads = shapes[step.of], len(step.keys)
    if len(given) != 3 or given[2] != 1 or not heads or len(step.values) != heads:
        return None
    keys, values = ({shapes[at] for at in ats} for ats in (step.keys, step.values))
    channels, tokens, _ = given
    fits = keys <= {(channels, tokens, 1), (channels + 1, tokens, 1)} and len(values) == 1
    value = next(iter(values))
    return value if fits and len(value) == 3 and value[1:] == (tokens, 1) else None


def _torch() -> Any:
    import torch

    return torch
