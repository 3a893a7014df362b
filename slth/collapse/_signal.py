"""Tensors of zeros and ones that say where a signal is, through the operations whose effect on that
is known; any other is refused rather than guessed.

Constants carry no signal: adding one changes nothing, multiplying by one lets through where it is
not 0. A difference carries what either part carries, for weights in general position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from slth.errors import BadInput


class Signal(torch.Tensor):
    """1 where something of the input arrives, else 0; never negative."""

    @staticmethod
    def of(value: Tensor) -> Signal:
        return value.as_subclass(Signal)

    def plain(self) -> Tensor:
        with torch._C.DisableTorchFunctionSubclass():
            return self.as_subclass(Tensor)

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        name = func.__name__
        rule = RULES.get(name.strip("_"), _unknown)
        with torch._C.DisableTorchFunctionSubclass():
            found = rule(func, tuple(args), dict(kwargs or {}))  # type: ignore[no-untyped-call]
            augmented = name in ("__iadd__", "__isub__", "__imul__", "__itruediv__")
            if augmented or (name.endswith("_") and not name.endswith("__")):
                if not isinstance(args[0], Signal):
                    _unknown(func, tuple(args), {})  # a constant that turns into a signal
                return args[0].copy_(found)
        return found


def _unknown(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    raise BadInput(
        "model",
        f"a forward that uses {func.__name__.strip('_')}",
        "layers, normalisations, element-wise activations, sums, joins, pools and reshapes",
        "whether a path survives is not defined here for others",
    )


def _wrapped(found: Any) -> Any:
    if isinstance(found, Tensor):
        return Signal.of(found)
    if isinstance(found, list | tuple):
        return type(found)(_wrapped(part) for part in found)
    return found


def _any(value: Tensor) -> Signal:
    """Sums of zeros and ones as zeros and ones again: no depth overflows."""
    return Signal.of((value > 0).to(value.dtype))


def _alone(args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Whether the first argument is the only signal."""
    return isinstance(args[0], Signal) and not any(
        isinstance(other, Signal) for other in (*args[1:], *kwargs.values())
    )


def _moved(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Reshapes and selections move entries about."""
    return _wrapped(func(*args, **kwargs)) if _alone(args, kwargs) else _unknown(func, args, kwargs)


def _pooled(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Sums, averages and maxima of a window have a signal where one of it has."""
    if not _alone(args, kwargs) or "bicubic" in (*args[1:], *kwargs.values()):
        return _unknown(func, args, kwargs)  # a kernel with negative parts may cancel
    found = func(*args, **kwargs)
    return _any(found) if isinstance(found, Tensor) else _unknown(func, args, kwargs)


def _passed(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Element by element: positive or not, a signal goes on."""
    if not _alone(args, kwargs):
        return _unknown(func, args, kwargs)
    in_place = func.__name__.endswith("_") or kwargs.get("inplace") or args[-1] is True
    return args[0] if in_place else Signal.of(args[0].clone())


def _fact(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Shape, type and place, and constants of the same kind."""
    if func.__name__ != "__get__":
        return func(*args, **kwargs)
    found = func(*args, **kwargs)  # such as x.T, which is x all the same
    return _wrapped(found) if isinstance(found, Tensor) else found


def _layer(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Linear maps and convolutions of zeros and ones; biases are constants."""
    given: list[Any] = [*args, *[None] * (3 - len(args))]
    x, weight, _, *rest = given
    weight = kwargs.pop("weight", weight)
    kwargs.pop("bias", None)
    if not isinstance(x, Signal) or isinstance(weight, Signal):
        return _unknown(func, args, kwargs)
    out = func(x, (weight != 0).to(x.dtype), None, *rest, **kwargs)
    # whole numbers; half of one, since fast convolutions may leave 1e-6 where 0 belongs
    return Signal.of((out > 0.5).to(x.dtype))


def _norm(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The signal itself, but for channels that the norm multiplies by 0."""
    name = func.__name__.strip("_")
    # torch.layer_norm and torch.group_norm have the scale third, batch_norm fourth
    place = 2 if name in ("layer_norm", "group_norm") else 3
    scale = kwargs.get("weight", args[place] if len(args) > place else None)
    if not _alone(args, kwargs):
        return _unknown(func, args, kwargs)
    if scale is None:
        return Signal.of(args[0].clone())
    if name != "layer_norm":  # that one's scale has the trailing dimensions
        scale = scale.reshape(1, -1, *[1] * (args[0].dim() - 2))
    return Signal.of(args[0] * (scale != 0).to(args[0].dtype))


def _sum(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Of a constant nothing arrives, of a difference what arrives of either part."""
    if len(args) != 2 or kwargs:
        return _unknown(func, args, kwargs)
    a, b = (_indicator(part, args, 0.0) for part in args)
    return _any(a + b)


def _scaled(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """By a constant: through where it is not 0. Of two signals each may block the other."""
    if len(args) != 2 or kwargs or all(isinstance(part, Signal) for part in args):
        return _unknown(func, args, kwargs)
    divided = "div" in func.__name__
    if divided and (func.__name__ == "__rtruediv__" or not isinstance(args[0], Signal)):
        return _unknown(func, args, kwargs)
    a, b = (_indicator(part, args, None) for part in args)
    return _any(a + 0 * b) if divided else _any(a * b)


def _indicator(part: Any, among: Sequence[Any], constant: float | None) -> Tensor:
    """A signal's own; a constant tensor or number as `constant`, or as whether it is not 0."""
    like = next(p for p in among if isinstance(p, Signal))
    if isinstance(part, Signal):
        return part.as_subclass(Tensor)
    if not isinstance(part, Tensor):
        part = torch.tensor(part)
    there = (part != 0).to(like.dtype).to(like.device)
    return there if constant is None else torch.full_like(there, constant)


def _joined(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """cat, stack: constants among the parts carry nothing."""
    if not args or not any(isinstance(part, Signal) for part in args[0]):
        return _unknown(func, args, kwargs)
    parts = [_indicator(part, args[0], 0.0) for part in args[0]]
    return Signal.of(func(parts, *args[1:], **kwargs))


def _padded(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The border's value is a constant."""
    given = dict(zip(("input", "pad", "mode", "value"), args, strict=False)) | kwargs
    if not isinstance(given.get("input"), Signal):
        return _unknown(func, args, kwargs)
    return Signal.of(func(given["input"], given["pad"], given.get("mode", "constant")))


def _table(rules: dict[Callable[..., Any], str]) -> dict[str, Callable[..., Any]]:
    return {name: rule for rule, names in rules.items() for name in names.split()}


RULES = _table(
    {
        _moved: """clone contiguous detach view reshape flatten unflatten permute transpose t
            movedim squeeze unsqueeze getitem select narrow chunk split tensor_split unbind
            pixel_shuffle pixel_unshuffle channel_shuffle roll flip view_as reshape_as expand
            expand_as repeat to
            float double cpu cuda""",
        _pooled: """sum mean amax avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d
            adaptive_avg_pool2d adaptive_avg_pool3d max_pool1d max_pool2d max_pool3d
            adaptive_max_pool1d adaptive_max_pool2d lp_pool1d lp_pool2d interpolate""",
        _passed: """relu leaky_relu rrelu relu6 elu selu celu gelu silu mish sigmoid logsigmoid
            log_sigmoid tanh hardtanh hardswish hardsigmoid hardshrink softshrink tanhshrink
            softplus softsign clamp clamp_min clamp_max threshold prelu exp sin cos abs neg
            positive square erf dropout dropout1d dropout2d dropout3d alpha_dropout
            feature_dropout feature_alpha_dropout
            local_response_norm""",
        _fact: """get size dim ndimension numel nelement stride is_contiguous element_size len
            is_floating_point is_complex get_device storage_offset new_zeros new_ones new_empty
            zeros_like ones_like empty_like""",
        _layer: """linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d
            conv_transpose3d""",
        _norm: "batch_norm instance_norm layer_norm group_norm",
        _sum: "add radd iadd sub rsub isub subtract",
        _scaled: "mul rmul imul multiply div truediv itruediv rtruediv divide true_divide",
        _joined: "cat concat concatenate stack hstack vstack",
        _padded: "pad",
    }
)
