"""The random network that a mask is searched over: drawn from a seed, then never changed."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from slth.errors import BadInput
from slth.mask import count_for

if TYPE_CHECKING:
    from torch import Tensor, nn

    from slth.laws import Law
    from slth.supermask import MaskSearch

Init = Literal["signed-constant", "normal", "uniform"]
INITS = ("signed-constant", "normal", "uniform")


@dataclass(frozen=True)
class Frozen:
    """A random network of any architecture as a seed: what every weight is drawn from.

    Weights have variance 2 / (fan_in · density) (He et al. 2015, scaled as by Ramanujan et al.
    2020 to make up for what a mask of that density removes; density 1 leaves them unscaled):
    ±√(2 / (fan_in · density)) with even odds, normal, or uniform. The published code of the latter
    divides by 1 − density instead, which agrees at one half only.

    biases: None sets them to zero. A number draws them as Fischer et al. (2021) do: normal, their
    standard deviation that number times the product of the weights' up to that layer.
    """

    seed: int = 0
    init: Init = "signed-constant"
    density: float = 1.0
    biases: float | None = None

    def __post_init__(self) -> None:
        if self.init not in INITS:
            raise BadInput("init", self.init, ", ".join(INITS), "choose one")
        if not 0 < self.density <= 1:
            remedy = "pass the density of the mask to come, or 1 for unscaled weights"
            raise BadInput("density", self.density, "a number in (0, 1]", remedy)

    def std(self, shape: tuple[int, ...]) -> float:
        """Of the weights of a layer of this weight's shape `[out, in, …]`."""
        return math.sqrt(2 / (math.prod(shape[1:]) * self.density))

    def law(self, shape: tuple[int, ...]) -> Law:
        from slth.laws import Normal, SignedConstant, Uniform

        std = self.std(shape)
        if self.init == "uniform":
            return Uniform(-math.sqrt(3) * std, math.sqrt(3) * std)
        return Normal(std) if self.init == "normal" else SignedConstant(std)

    def weight(self, layer: int, shape: tuple[int, ...], generation: int = 0) -> Tensor:
        """Float32, on the CPU; layers are numbered in the model's own order."""
        import torch

        from slth.source import dense

        drawn = dense(self.seed, layer, shape, self.law(shape), generation=generation)
        return torch.from_numpy(drawn).float()  # laws round to float32 already

    def draw(self, model: nn.Module) -> None:
        """Draw every linear and convolutional layer of `model` anew, in place."""
        import torch

        from slth.laws import Normal
        from slth.pruning._layers import layers
        from slth.source import dense

        product = 1.0
        with torch.no_grad():
            for i, layer in enumerate(layers(model, shortcuts=True)):
                module, shape = layer.module, tuple(layer.module.weight.shape)
                module.weight.copy_(self.weight(i, shape))
                product *= self.std(shape)
                if module.bias is None:
                    continue
                module.bias.zero_()
                if self.biases is not None:
                    law = Normal(self.biases * product)
                    drawn = dense(self.seed, i, tuple(module.bias.shape), law, bias=True)
                    module.bias.copy_(torch.from_numpy(drawn))

    def to_json(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "init": self.init,
            "density": self.density,
            "biases": self.biases,
        }


@dataclass(frozen=True, eq=False)
class Layer:
    """One weight under search (or one bias): what is frozen, and what is searched over it.

    number: of the layer among the model's layers, which a bias shares with its weight. weight: the
    frozen tensor. base: what the mask multiplies, the weight or its sign. scores: what the
    optimiser moves. effective: what the network computes with. k: how many to keep when every
    layer keeps its own share. extra: whatever else a method keeps from step to step. All of one
    shape and device; tensors are changed in place.
    """

    name: str
    number: int
    weight: Tensor
    base: Tensor
    scores: Tensor
    effective: Tensor
    k: int
    extra: dict[str, Tensor] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return self.weight.numel()

    @property
    def is_bias(self) -> bool:
        return self.name.rsplit(".", 1)[-1] == "bias"


def layers_of(model: nn.Module, method: MaskSearch, density: float) -> list[Layer]:
    """Every linear and convolutional weight of the model (and bias, where the method masks them).

    Raises BadInput on a density outside (0, 1], a share that rounds to nothing, and weights that
    somebody trains.
    """
    from slth.pruning._layers import layers

    if not 0 < density <= 1:
        remedy = "density is the fraction kept; for a compression c pass 1 / c"
        raise BadInput("density", density, "a number in (0, 1]", remedy)
    found: list[Layer] = []
    for number, layer in enumerate(layers(model, shortcuts=True)):
        module = layer.module
        if module.weight.grad is not None:
            raise BadInput(
                layer.parameter,
                "a weight with a gradient, which some training uses",
                "weights that are left alone while a mask over them is searched",
                "draw them anew, or take a copy and call zero_grad(set_to_none=True) on it",
            )
        bias = module.bias if method.biases else None
        size = module.weight.numel() + (0 if bias is None else bias.numel())
        k = _share(layer.parameter, density, size, method.whole)
        found.append(_layer(layer.parameter, number, module.weight, method, k))
        if bias is not None:
            found.append(_layer(layer.parameter[:-6] + "bias", number, bias, method, 0))
    if not method.whole:
        return found
    size = sum(layer.size for layer in found)
    k = _share("the whole network", density, size, False)
    return [replace(layer, k=k if i == 0 else 0) for i, layer in enumerate(found)]


def _layer(name: str, number: int, own: Tensor, method: MaskSearch, k: int) -> Layer:
    import torch

    weight = own.detach()
    base = weight.sign() if method.signs else weight
    scores = torch.zeros(weight.shape, dtype=weight.dtype, device=weight.device)
    return Layer(name, number, weight, base, scores, torch.zeros_like(scores).requires_grad_(), k)


def _share(name: str, density: float, size: int, may_be_empty: bool) -> int:
    k = count_for(density, size)
    if k == 0 and not may_be_empty:
        raise BadInput(
            "density",
            f"{density:g}, which keeps none of the {size} weights of {name}",
            "one that keeps a weight of every layer",
            f"pass at least {_rounded_up(0.5 / size):g}, or a method that ranks the whole network",
        )
    return k


def _rounded_up(x: float) -> float:
    """The next number of three digits above x > 0: half a weight itself rounds to the even zero."""
    unit = 10.0 ** (math.floor(math.log10(x)) - 2)
    return float(f"{(math.floor(x / unit) + 1) * unit:.6g}")


@contextlib.contextmanager
def replaced(model: nn.Module, tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """The model computing with `tensors` in place of the parameters of those names.

    Everything else is frozen meanwhile. Afterwards the model has its own parameters back, which
    nothing has touched.
    """
    import torch
    from torch.nn.utils import parametrize

    class Given(torch.nn.Module):
        def __init__(self, tensor: Tensor) -> None:
            super().__init__()
            self.tensor = tensor

        def forward(self, original: Tensor) -> Tensor:
            return self.tensor

    wanted = {name: p.requires_grad for name, p in model.named_parameters()}
    places = {name: place(model, name) for name in tensors}
    orders = {module: list(module._parameters) for module, _ in places.values()}
    done: list[tuple[nn.Module, str]] = []
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    try:
        for name, tensor in tensors.items():
            parametrize.register_parametrization(*places[name], Given(tensor), unsafe=True)
            done.append(places[name])
        yield
    finally:
        for module, attribute in reversed(done):
            parametrize.remove_parametrizations(module, attribute, leave_parametrized=False)
            order = orders[module]  # which putting a parameter back has changed
            own = module._parameters
            for key in [key for key in order if key in own]:
                own[key] = own.pop(key)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(wanted[name])


def place(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    """The module that a parameter of this name belongs to, and its name there."""
    path, _, attribute = name.rpartition(".")
    return model.get_submodule(path), attribute


def statistics(model: nn.Module) -> dict[str, Tensor]:
    """Copies of the buffers, such as BatchNorm's running statistics, which a search does move."""
    return {name: buffer.detach().clone() for name, buffer in model.named_buffers()}


def restore_statistics(model: nn.Module, held: Mapping[str, Tensor]) -> None:
    import torch

    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if name in held:
                buffer.copy_(held[name])


def plainly(model: nn.Module, searched: Sequence[str]) -> tuple[str, ...]:
    """What the search does with everything that is no weight of a layer, in sentences."""
    from torch.nn.modules.batchnorm import _BatchNorm

    biases = [n for n, p in model.named_parameters() if n.endswith("bias") and n not in searched]
    normal = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    own = {id(m.bias) for m in normal}
    parameters = dict(model.named_parameters())
    plain = [parameters[n] for n in biases if id(parameters[n]) not in own]
    zero = sum(not bool(b.any()) for b in plain)
    notes = []
    if any(name.endswith("bias") for name in searched):
        notes.append("biases are random, frozen and masked with their layer")
    if plain:
        values = "zero" if zero == len(plain) else f"{len(plain) - zero} of them not zero"
        notes.append(f"biases of {len(plain)} layers are frozen and never masked ({values})")
    affine = sum(m.affine for m in normal)
    if affine:
        notes.append(f"scale and shift of {affine} BatchNorm layers are frozen as they are")
    if any(m.track_running_stats for m in normal):
        notes.append("BatchNorm's running statistics are those of the search's batches")
    return tuple(notes)
