"""Options that a command reads off a plug-in: its dataclass fields, once its name is parsed.

So a new plug-in file needs no edit here. A field's `metadata` may hold `help` and `choices`;
`metadata={"cli": False}` keeps a field off the command line.
"""

from __future__ import annotations

import dataclasses
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import click

from slth.errors import BadInput

NEGATIVE = re.compile(r"-(\d|\.\d|inf|nan)", re.IGNORECASE)
SCALARS: dict[type, click.ParamType[Any]] = {int: click.INT, float: click.FLOAT, str: click.STRING}


@dataclass(frozen=True)
class Chooser:
    """An option that names a plug-in, by default `default`, whose fields become options too.

    names, load: what there is to choose from, and the class of a name, imported on use. prefix:
    put before the names of the fields' options.
    """

    option: str
    default: str
    help: str
    names: Callable[[], Iterable[str]]
    load: Callable[[str], type]
    prefix: str = ""

    def named(self, given: str) -> str:
        """The plug-in's name in the form the help shows: `FirstHit`, `first_hit` → `first-hit`."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", given.strip()).replace("_", "-").lower()

    def pick(self, name: str) -> type:
        known = [known.replace("_", "-") for known in self.names()]
        if name not in known:
            raise BadInput(f"--{self.option}", name, ", ".join(known), "choose one of these")
        return self.load(name)

    def itself(self) -> click.Option:
        """The option that names the plug-in; its help lists what there is."""
        known = ", ".join(name.replace("_", "-") for name in self.names())
        text = f"{self.help} One of {known}."
        return click.Option(
            [f"--{self.option}"], metavar="NAME", default=self.default, show_default=True, help=text
        )

    def parameter(self, plugin: type, field: dataclasses.Field[Any]) -> click.Option:
        """The option of one field; None, its default, stands for "not given"."""
        flag = (self.prefix + field.name).replace("_", "-")
        type_ = kind(plugin, field)
        text = str(field.metadata.get("help", ""))
        if (default := default_of(field)) is not None:
            text = f"{text}  [default: {default}]".strip()
        if type_ is click.BOOL:
            return click.Option([f"--{flag}/--no-{flag}", self.key(field)], default=None, help=text)
        return click.Option([f"--{flag}", self.key(field)], type=type_, help=text)

    def key(self, field: dataclasses.Field[Any]) -> str:
        return f"{self.option}_{field.name}"


class PluginCommand(click.Command):
    """A command that gets, for each of its choosers, a plug-in class with the options given.

    The callback's argument of a chooser's name is `functools.partial(plugin, **fields given)`.
    """

    def __init__(self, *args: Any, choosers: tuple[Chooser, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.choosers = choosers

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # A leading blank keeps "-0.5,1" a value; floats and lists of them are read without it.
        args = [f" {arg}" if NEGATIVE.match(arg) else arg for arg in args]
        parser = self.make_parser(ctx)
        parser.ignore_unknown_options = True
        named = parser.parse_args(args=list(args))[0]
        picked = {}
        for c in self.choosers:
            given = named.get(c.option)
            name = c.named(given if isinstance(given, str) else c.default)
            picked[c] = (name, c.pick(name))
        ctx.meta["slth.plugins"] = picked
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise click.UsageError(self._no_such_option(ctx, error), ctx) from None

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        own = super().get_params(ctx)
        return [
            *own[:-1],
            *(c.itself() for c in self.choosers),
            *(o for part in self._extra(ctx) for o in part[1]),
            own[-1],
        ]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        *own, help_ = super().get_params(ctx)
        own += [*(c.itself() for c in self.choosers), help_]
        for title, options in [("Options", own), *self._extra(ctx)]:
            records = [o.get_help_record(ctx) for o in options if isinstance(o, click.Option)]
            if records:
                with formatter.section(title):
                    formatter.write_dl([record for record in records if record])

    def invoke(self, ctx: click.Context) -> Any:
        for c, (_, plugin) in self._picked(ctx).items():
            given = {f.name: ctx.params.pop(c.key(f)) for f in visible(plugin)}
            given = {name: value for name, value in given.items() if value is not None}
            ctx.params[c.option] = partial(plugin, **given)
        return super().invoke(ctx)

    def _picked(self, ctx: click.Context) -> dict[Chooser, tuple[str, type]]:
        picked: dict[Chooser, tuple[str, type]] = ctx.meta.get("slth.plugins", {})
        return picked

    def _extra(self, ctx: click.Context) -> list[tuple[str, list[click.Parameter]]]:
        return [
            (f"With --{c.option} {name}", [c.parameter(plugin, f) for f in visible(plugin)])
            for c, (name, plugin) in self._picked(ctx).items()
        ]

    def _no_such_option(self, ctx: click.Context, error: click.NoSuchOption) -> str:
        known = [
            f"the {c.option} {name} has {', '.join(c.parameter(p, f).opts[0] for f in visible(p))}"
            if visible(p)
            else f"the {c.option} {name} has none of its own"
            for c, (name, p) in self._picked(ctx).items()
        ]
        close = (
            f" (did you mean {' or '.join(error.possibilities)}?)" if error.possibilities else ""
        )
        return f"no option {error.option_name}{close}; {'; '.join(known)}"


def visible(plugin: type) -> list[dataclasses.Field[Any]]:
    """The fields that the command line offers."""
    return [f for f in dataclasses.fields(plugin) if f.metadata.get("cli", True)]


def default_of(field: dataclasses.Field[Any]) -> object:
    if field.default is not dataclasses.MISSING:
        return field.default
    return None if field.default_factory is dataclasses.MISSING else field.default_factory()


def kind(plugin: type, field: dataclasses.Field[Any]) -> click.ParamType[Any]:
    """How a field's text is read. TypeError where its type cannot be: the plug-in's own fault."""
    if "choices" in field.metadata:
        return click.Choice([str(choice) for choice in field.metadata["choices"]])
    annotation = _annotation(plugin, field)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        parts = [part for part in typing.get_args(annotation) if part is not type(None)]
        annotation = parts[0] if len(parts) == 1 else annotation
    if typing.get_origin(annotation) is typing.Literal:
        return click.Choice([str(choice) for choice in typing.get_args(annotation)])
    if annotation is bool:
        return click.BOOL
    if annotation in SCALARS:
        return SCALARS[annotation]
    raise TypeError(
        f"{plugin.__name__}.{field.name}: the command line reads int, float, str, bool, Literal "
        f"and what may be None of these, not {annotation}; hide it by metadata={{'cli': False}}"
    )


def _annotation(plugin: type, field: dataclasses.Field[Any]) -> Any:
    """The field's type; its name is looked up in the module of the class that declares it."""
    if not isinstance(field.type, str):
        return field.type
    homes = [
        c
        for c in plugin.__mro__
        if vars(c).get("__dataclass_fields__", {}).get(field.name) is field
    ]
    return eval(field.type, vars(sys.modules[homes[-1].__module__]))
