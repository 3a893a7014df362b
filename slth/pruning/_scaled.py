"""Tensors that cannot overflow: a value and a power of two that it is to be multiplied by.

The flow through 500 layers of width 100 exceeds 10^1000. Here every sum is brought back near one by
a constant power of two, which rounds nothing, and summands are aligned before they are added, so
residual sums come out right. Constants are no part of the derivative: what autograd finds for the
stored value is the true gradient times one power of two for all weights, and scores that differ by
a common factor rank alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

WINDOW = 20  # a tensor's largest entry stays within 2^±20: rescaling every third layer is enough
SPREAD = 2.0**-45  # times a weight of 2^-80 it is still a normal number of float32
ZERO = -(1 << 40)  # the exponent of a tensor of zeros: below every other one


@dataclass
class _Tally:
    """Counts roundings: every term of a sum may be rounded once where it is added.

    With summands of one sign each rounding changes the sum by a factor within 1 ± u, in whatever
    order they are added. A weight's score meets those on the way to it, those of the sum over the
    places where it is used, and, in the derivative, those of all that comes after.
    """

    fits: bool = True  # whether entries of one tensor lie near enough for float32's products
    forward: float = 0.0
    backward: float = 0.0
    worst: float = -math.inf  # over weights: before it, plus its own, less backward until there
    known: bool = True

    def both(self, terms: float) -> None:
        """A sum of so many terms, in the pass and in its derivative."""
        self.forward += terms
        self.backward += terms

    def weight(self, forward: float, backward: float, places: float) -> None:
        """A layer whose outputs sum so many terms, whose inputs' derivative so many."""
        self.backward += backward
        self.worst = max(self.worst, self.forward + places - self.backward)
        self.forward += forward

    @property
    def roundings(self) -> float:
        """On the way of any score at most so many; infinity if some operation is not known."""
        return max(self.worst + self.backward, 0.0) if self.known else math.inf


class Scaled(torch.Tensor):
    """`value` times 2^`exponent`; torch's functions keep both, or get the product if they must."""

    value: Tensor
    exponent: int
    tally: _Tally

    @staticmethod
    def of(value: Tensor, exponent: int, tally: _Tally) -> Scaled:
        made = value.detach().as_subclass(Scaled)
        made.value, made.exponent, made.tally = value, exponent, tally
        return made

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        name, extra = func.__name__, kwargs or {}
        rule = RULES.get(name.strip("_"), _unknown)
        in_place = isinstance(args[0], Scaled) if args else False
        in_place &= name in IN_PLACE or (name.endswith("_") and not name.endswith("__"))
        with torch._C.DisableTorchFunctionSubclass():
            found = rule(func, tuple(args), extra)  # type: ignore[no-untyped-call]
        if in_place:
            here, there = args[0], found if isinstance(found, Scaled) else None
            if there is not None:
                here.value, here.exponent = there.value, there.exponent
            return here
        return found


IN_PLACE = {"__iadd__", "__isub__", "__imul__", "__itruediv__", "__setitem__"}


# -- helpers ---------------------------------------------------------------------------------------


def shifted(value: Tensor, by: int) -> Tensor:
    """value · 2^by, in steps that float32 has."""
    while by:
        step = max(-100, min(100, by))
        value, by = value * 2.0**step, by - step
        if by < -1200:  # nothing is left of it in any dtype
            return value * 0.0
        if by > 1200:
            return value * math.inf
    return value


def _near_one(value: Tensor, exponent: int, tally: _Tally) -> Scaled:
    sizes = value.detach().abs()
    top = float(sizes.amax()) if value.numel() else 0.0
    if top == 0:
        return Scaled.of(value, ZERO, tally)
    power = math.frexp(top)[1] if math.isfinite(top) else 0
    if abs(power) > WINDOW:
        value, exponent = shifted(value, -power), exponent + power
    _check_spread(sizes, -power, tally)
    return Scaled.of(value, exponent, tally)


def _check_spread(sizes: Tensor, power: int, tally: _Tally) -> None:
    """Whether all entries but zeros are within SPREAD of one after multiplication by 2^power."""
    least = float(torch.where(sizes > 0, sizes, math.inf).amin()) if sizes.numel() else 1.0
    if math.frexp(least)[1] + power < math.frexp(SPREAD)[1]:
        tally.fits = False


def _tally(args: Any) -> _Tally:
    """The tally of the first scaled tensor among the arguments, lists searched too."""
    for arg in args:
        if isinstance(arg, Scaled):
            return arg.tally
        if isinstance(arg, list | tuple) and any(isinstance(a, Scaled) for a in arg):
            return _tally(arg)
    raise TypeError("no scaled tensor among the arguments")


def _operands(parts: Sequence[Any]) -> list[Scaled]:
    """Numbers and plain tensors as scaled ones too; with a negative among them sums may cancel."""
    like = next(p for p in parts if isinstance(p, Scaled))
    found = []
    for part in parts:
        if not isinstance(part, Scaled):
            if not isinstance(part, Tensor):
                part = torch.tensor(part, dtype=like.value.dtype, device=like.value.device)
            if bool((part.detach() < 0).any()):
                like.tally.known = False
            part = _near_one(part, 0, like.tally)
        found.append(part)
    return found


def _aligned(parts: Sequence[Any]) -> tuple[list[Tensor], int, _Tally]:
    """Values over one exponent, the largest: what is lost below it could not be added anyway."""
    scaled = _operands(parts)
    exponent = max(p.exponent for p in scaled)
    values = [shifted(p.value, p.exponent - exponent) for p in scaled]
    for part in scaled:
        if exponent - part.exponent > WINDOW:
            _check_spread(part.value.detach().abs(), part.exponent - exponent, part.tally)
    scaled[0].tally.both(2 * len(parts))
    return values, exponent, scaled[0].tally


def _product(a: Scaled, b: Scaled) -> int:
    return ZERO if ZERO in (a.exponent, b.exponent) else a.exponent + b.exponent


def _plain(arg: Any) -> Any:
    """What it stands for, as an ordinary tensor."""
    if isinstance(arg, Scaled):
        return shifted(arg.value, 0 if arg.exponent == ZERO else arg.exponent)
    if isinstance(arg, list | tuple):
        return type(arg)(_plain(a) for a in arg)
    return arg


# -- rules: how an operation treats exponents ------------------------------------------------------


def _unknown(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An operation of which nothing is known gets the true values, and loses the bound."""
    tally = _tally((*args, *kwargs.values()))
    tally.known = False
    plain = _plain(args)
    found = func(*plain, **{k: _plain(v) for k, v in kwargs.items()})
    if func.__name__ == "__setitem__" and isinstance(args[0], Scaled):
        found = plain[0]
    return _wrapped(found, 0, tally)


def _wrapped(found: Any, exponent: int, tally: _Tally) -> Any:
    if isinstance(found, Tensor) and found.is_floating_point():
        return Scaled.of(found, exponent, tally)
    if isinstance(found, list | tuple):
        return type(found)(_wrapped(f, exponent, tally) for f in found)
    return found


def _same(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """f(c·x) = c·f(x) for c > 0, and no rounding: ReLU, reshaping, maxima."""
    x = args[0]
    if not isinstance(x, Scaled) or any(isinstance(a, Scaled) for a in args[1:]):
        return _unknown(func, args, kwargs)
    return _wrapped(func(x.value, *args[1:], **kwargs), x.exponent, x.tally)


def _pooled(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Sums, averages, maxima and copies: a term for every entry of x that goes into one of the
    result, or the other way round in the derivative."""
    found = _same(func, args, kwargs)
    if isinstance(args[0], Scaled) and isinstance(found, Scaled):
        # windows lie in a map of one channel, so they have no more entries than it
        x, y = args[0].value, found.value
        pooled = "pool" in func.__name__
        terms = math.prod(x.shape[2:]) if pooled else x.numel() // max(1, y.numel())
        copies = 0 if pooled else y.numel() // max(1, x.numel())
        found.tally.both(2 * terms + copies + 8)
    return found


def _facts(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Shape, type and place, and tensors made alike: nothing that depends on the values."""
    x = args[0]
    found = func(*(a.value if isinstance(a, Scaled) else a for a in args), **kwargs)
    attribute = func.__name__ == "__get__"  # such as x.T, which is x all the same
    return _wrapped(found, x.exponent, x.tally) if attribute and isinstance(x, Scaled) else found


def _weighted(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Linear maps and convolutions: x with a plain weight and a bias that is added afterwards."""
    given: list[Any] = [*args, *[None] * (3 - len(args))]
    x, weight, bias, *rest = given
    weight = kwargs.pop("weight", weight)
    bias = kwargs.pop("bias", bias)
    if not isinstance(x, Scaled) or isinstance(weight, Scaled):
        return _unknown(func, (x, weight, bias, *rest), kwargs)
    outputs, terms = weight.shape[0], math.prod(weight.shape[1:])
    if "transpose" in func.__name__:
        outputs, terms = weight.shape[1], weight.numel() // weight.shape[1]
    backward = outputs * math.prod(weight.shape[2:])
    found = _near_one(func(x.value, weight, None, *rest, **kwargs), x.exponent, x.tally)
    places = found.value.numel() / max(outputs, 1)
    found.tally.weight(terms + 2, backward + 2, places)
    if bias is None or not bool(bias.detach().any()):
        return found
    channels = (1, -1, *[1] * (weight.ndim - 2)) if weight.ndim > 2 else (-1,)
    return _add(torch.add, (found, bias.reshape(channels)), {})


def _batch_norm(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """At running statistics it is linear: a factor for each channel and a shift."""
    names = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum")
    given = dict(zip((*names, "eps"), args, strict=False)) | kwargs
    x, mean, var, weight, bias = (given.get(name) for name in names[:5])
    if given.get("training") or mean is None or var is None or not isinstance(x, Scaled):
        return _unknown(func, args, kwargs)
    factor = (var + given.get("eps", 1e-5)).rsqrt()
    factor = factor if weight is None else factor * weight
    shift = -mean * factor if bias is None else bias - mean * factor
    channels = (1, -1, *[1] * (x.value.ndim - 2))
    x.tally.both(16)
    found = _near_one(x.value * factor.reshape(channels), x.exponent, x.tally)
    if not bool(shift.detach().any()):
        return found
    if bool((mean.detach() > 0).any()):
        x.tally.known = False  # a difference: its rounding is not relative
    return _add(torch.add, (found, shift.reshape(channels)), {})


def _add(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if kwargs or len(args) != 2:
        return _unknown(func, args, kwargs)
    (a, b), exponent, tally = _aligned(args)
    return _near_one(a + b, exponent, tally)


def _subtract(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if kwargs or len(args) != 2:
        return _unknown(func, args, kwargs)
    (a, b), exponent, tally = _aligned(args)
    tally.known = False  # of a difference no relative bound is known
    return _near_one(b - a if func.__name__ == "__rsub__" else a - b, exponent, tally)


def _multiply(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if kwargs or len(args) != 2:
        return _unknown(func, args, kwargs)
    a, b = _operands(args)
    found = a.value * b.value
    # broadcasting has sums in its derivative
    a.tally.both(2 + found.numel())
    return _near_one(found, _product(a, b), a.tally)


def _divide(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if kwargs or len(args) != 2 or isinstance(args[1], Scaled):
        return _unknown(func, args, kwargs)
    return _multiply(torch.mul, (args[0], 1 / args[1]), {})


def _matmul(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if kwargs or len(args) != 2:
        return _unknown(func, args, kwargs)
    a, b = _operands(args[::-1] if func.__name__ == "__rmatmul__" else args)
    a.tally.both(2 + a.value.numel() + b.value.numel())
    return _near_one(a.value @ b.value, _product(a, b), a.tally)


def _joined(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """cat, stack: parts over one exponent."""
    values, exponent, tally = _aligned(list(args[0]))
    return _near_one(func(values, *args[1:], **kwargs), exponent, tally)


def _larger(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    values, exponent, tally = _aligned(args)
    return _near_one(func(*values, **kwargs), exponent, tally)


def _dropout(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    given = dict(zip(("input", "p", "training"), args, strict=False)) | kwargs
    rule = _unknown if given.get("training", True) else _same
    return rule(func, args, kwargs)


def _pad(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    given = dict(zip(("input", "pad", "mode", "value"), args, strict=False)) | kwargs
    return (_unknown if given.get("value") else _same)(func, args, kwargs)


def _table(rules: dict[Callable[..., Any], str]) -> dict[str, Callable[..., Any]]:
    return {name: rule for rule, names in rules.items() for name in names.split()}


RULES = _table(
    {
        _same: """relu leaky_relu abs positive clone contiguous detach view reshape flatten
            unflatten permute transpose t movedim squeeze unsqueeze getitem select narrow chunk
            split tensor_split unbind pixel_shuffle pixel_unshuffle channel_shuffle roll flip
            view_as reshape_as to float double cpu cuda""",
        _pooled: """sum mean avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d
            adaptive_avg_pool2d adaptive_avg_pool3d max_pool1d max_pool2d max_pool3d
            adaptive_max_pool1d adaptive_max_pool2d expand expand_as repeat""",
        _facts: """get size dim ndimension numel nelement stride is_contiguous element_size len
            is_floating_point is_complex get_device storage_offset new_zeros new_ones new_empty
            zeros_like ones_like empty_like""",
        _weighted: """linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d
            conv_transpose3d""",
        _batch_norm: "batch_norm",
        _add: "add radd iadd",
        _subtract: "sub rsub isub subtract",
        _multiply: "mul rmul imul multiply",
        _divide: "div truediv itruediv divide true_divide",
        _matmul: "matmul rmatmul mm bmm",
        _joined: "cat concat concatenate stack hstack vstack",
        _larger: "maximum minimum",
        _dropout: "dropout dropout1d dropout2d dropout3d feature_dropout alpha_dropout",
        _pad: "pad",
    }
)
