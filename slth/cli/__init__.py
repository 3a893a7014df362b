"""`slth …`: solve subset sums, build and verify tickets, run simulations.

Exit status: 0 fine, 1 a claim is false, 2 bad input, 3 the source (or the values) too narrow,
130 interrupted. Only click is imported before a command runs, so that help appears at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal, NoReturn

import click

import slth
from slth.cli.plugins import Chooser, PluginCommand
from slth.errors import BadInput

EPILOG = """\b
Exit status: 0 fine, 1 a claim is false, 2 bad input, 3 too narrow, 130 interrupted.
Start with:  slth ticket digits --n 40
             slth verify ticket.npz --target digits
"""
MODEL = (
    "a file of a torch.nn.Sequential, module.py:factory (with --state for its weights), or one of "
    "the built-in networks `digits` and `digits-untouched`"
)
SHAPE = click.option("--shape", help="Of one input, where a convolution comes first: 1,28,28.")


class Front(click.Group):
    """The group that turns every error a user can make into one line on standard error."""

    def main(self, *args: Any, **extra: Any) -> Any:
        extra["standalone_mode"] = False  # click's own mode would print several lines
        try:
            status = super().main(*args, **extra)
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx else "slth"
            _fail(f"{error.format_message().rstrip('.')}; see `{path} --help`")
        except click.ClickException as error:
            _fail(error.format_message())
        except BadInput as error:
            _fail(str(error))
        except OSError as error:
            where, why = error.filename or "a file", error.strerror or type(error).__name__
            _fail(str(BadInput(where, why, "a path that can be read or written", "check the path")))
        except MemoryError as error:
            remedy = "a smaller n, fewer rows, or an epsilon that allows a lazy search"
            _fail(str(BadInput("memory", error or "no more", "what this machine holds", remedy)))
        except (click.Abort, KeyboardInterrupt):
            sys.exit(130)
        sys.exit(status or 0)


def _fail(message: str) -> NoReturn:
    click.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(2)


def _solvers() -> tuple[str, ...]:
    from slth.subsetsum import solvers

    return solvers()


def _load_solver(name: str) -> type:
    from slth.subsetsum import load

    return load(name)


def _constructions() -> tuple[str, ...]:
    from slth.construct import constructions

    return constructions()


def _load_construction(name: str) -> type:
    from slth.construct import load

    return load(name)


def _searches() -> tuple[str, ...]:
    from slth.supermask import searches

    return searches()


def _load_search(name: str) -> type:
    from slth.supermask import load

    return load(name)


def _saliencies() -> tuple[str, ...]:
    from slth.pruning import saliencies

    return saliencies()


def _load_saliency(name: str) -> type:
    from slth.pruning import load

    return load(name)


def _laws() -> tuple[str, ...]:
    from slth.laws import LAWS

    return tuple(LAWS)


def _load_law(name: str) -> type:
    from slth.laws import LAWS

    return LAWS[name]


SOLVER = Chooser(
    "solver",
    "meet-in-the-middle",
    "How to search. Each has options of its own: --solver NAME --help.",
    _solvers,
    _load_solver,
)
CONSTRUCTION = Chooser(
    "construction",
    "pensia",
    "Whose gadgets. Each has options of its own: --construction NAME --help.",
    _constructions,
    _load_construction,
)
SEARCH = Chooser(
    "method",
    "edge-popup",
    "How to search. Each has options of its own: --method NAME --help.",
    _searches,
    _load_search,
)
LAW = Chooser(
    "law",
    "uniform",
    "What the random weights are drawn from.",
    _laws,
    _load_law,
    "law-",
)
METHOD = Chooser(
    "method",
    "synflow",
    "How to score. Each has options of its own: --method NAME --help.",
    _saliencies,
    _load_saliency,
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group("slth", cls=Front, invoke_without_command=True, epilog=EPILOG)
@click.version_option(slth.__version__, prog_name="slth")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Build strong lottery tickets, certify them, and put the theorems about them to the test.

    A strong lottery ticket is a subnetwork of a random network that computes nearly what a given
    target network computes: no weight is trained, only a mask is chosen.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@main.command(cls=PluginCommand, choosers=(SOLVER,))
@click.argument("values")
@click.argument("targets")
@click.option("--epsilon", type=float, help="Tolerance. [default: none, the optimum is wanted]")
@click.option("--out", type=click.Path(path_type=Path), help="Also save mask, error, status here.")
@as_json
def solve(
    values: str, targets: str, epsilon: float | None, out: Path | None, as_json: bool, solver: Any
) -> int:
    """Which of these VALUES add up to each of these TARGETS?

    Both are .npy, .csv or .txt files (a row a line), or numbers with commas between. One row of
    values serves every target; N rows go with N targets. Prints, for each target, the mask (1 =
    kept), the exact error rounded up, and the status: solved, none exists (proved), or gave up.
    Exit status 3 when some row is not solved.

    \b
    Example:  slth solve 0.3,-0.2,0.7,0.11 0.5,0.8 --epsilon 0.02
    """
    from slth.cli import inputs, numbers, show
    from slth.subsetsum import Problem

    inputs.check_output(out)
    problem = Problem(numbers.read("VALUES", values), numbers.read("TARGETS", targets))
    problem = Problem(problem.values, problem.targets, epsilon)
    with show.bar("solving"):
        solution = solver()(problem)
    if out is not None:
        import numpy as np

        from slth.files import write_atomically

        with inputs.writing(out), write_atomically(out) as stream:
            np.savez_compressed(
                stream, mask=solution.mask, error=solution.error, status=solution.status
            )
    found = show.solution(solution, epsilon, None if out is None else str(out))
    show.show_json(found) if as_json else show.show_solution(found)
    return 0 if found["solved"] == found["rows"] else 3


@main.command(cls=PluginCommand, choosers=(CONSTRUCTION, LAW))
@click.argument("model")
@click.option("--state", help="State dict for module.py:factory.")
@SHAPE
@click.option("--n", type=int, help="Neurons a half and input. [default: what the theorem asks]")
@click.option("--seed", type=int, default=0, show_default=True, help="The source's seed.")
@click.option("--present", type=float, default=1.0, help="Chance of a source weight to exist.")
@click.option("--locked", type=float, default=0.0, help="Chance of an out-weight to be locked in.")
@click.option(
    "--ball", type=float, help="Claim for inputs of this norm. [default: 1; of images none]"
)
@click.option(
    "--box", type=(float, float), metavar="LOW HIGH", help="For this box. [default: of images 0 1]"
)
@click.option(
    "--restarts", type=click.IntRange(1), default=64, show_default=True, help="Of the attack."
)
@click.option(
    "--steps", type=click.IntRange(0), default=150, show_default=True, help="Of each restart."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("ticket.npz"),
    show_default=True,
    help="Where the ticket goes: seed, mask, claim and certificate, no weights.",
)
@as_json
def ticket(
    model: str,
    state: str | None,
    shape: str | None,
    n: int | None,
    seed: int,
    present: float,
    locked: float,
    ball: float | None,
    box: tuple[float, float] | None,
    restarts: int,
    steps: int,
    out: Path,
    as_json: bool,
    construction: Any,
    law: Any,
) -> int:
    """Find a subnetwork of a random network that computes nearly what MODEL computes.

    MODEL is a file of a torch.nn.Sequential, module.py:factory, or one of the built-in networks
    `digits` and `digits-untouched`: fully connected and convolutional layers, BatchNorm, pooling,
    residual additions, ReLU and other activations. The ticket is certified (its error over the ball
    or box is bounded from above and attacked from below) and saved. Give --n, or --epsilon and
    --delta for the width the theorem asks for. Exit status 3 when some gadget misses the tolerance
    that epsilon asks of it, however small the certified error; the ticket is saved all the same.

    What is found goes to the folder OUT.part until the ticket is saved: after a crash or Ctrl-C the
    same command goes on from there, and the ticket comes out the same to the last bit.

    \b
    Example:  slth ticket digits --n 40 --seed 1 --out ticket.npz
    """
    from slth.cli import inputs, show
    from slth.construct import discard

    inputs.check_output(out)
    target = inputs.target(model, state, inputs.shape(shape))
    make = inputs.construction(construction, inputs.domain(target, ball, box))
    source = inputs.source(make, target, n, seed, law(), present, locked)
    with show.bar("building", counted=True) as progress:
        unfinished = out.with_name(f"{out.name}.part")
        found = make.build_resumable(target, source, unfinished, progress)
    with show.bar("certifying"):
        found = inputs.certified(found, target, restarts, steps)
    with inputs.writing(out):
        found.save(out)
    report = show.ticket(found, target, make, str(out))
    discard(found)
    show.show_json(report) if as_json else show.show_ticket(report)
    if found.claim.met:
        return 0
    click.echo(
        f"not met: {found.claim.construction} found no ticket of the tolerance asked for in this "
        f"source; the one saved in {out} misses it in {found.claim.unmet} gadgets; give a larger "
        "--n or a looser tolerance",
        err=True,
    )
    return 3


@main.command()
@click.argument("path")
@click.option("--target", "model", metavar="MODEL", help=f"The network: {MODEL}.")
@click.option("--state", help="State dict for module.py:factory.")
@SHAPE
@as_json
def verify(
    path: str, model: str | None, state: str | None, shape: str | None, as_json: bool
) -> int:
    """Check everything that the ticket in the file PATH claims, trusting nothing in it.

    Every kept weight is drawn anew from the seed, every subset sum is added up in exact arithmetic,
    and the bounds on the error are derived again. A file of masks that `slth popup` found needs no
    --target: its weights are drawn anew and what was measured is measured again. Exit status 1 when
    any claim is false, 2 when the file is no ticket.

    \b
    Example:  slth verify ticket.npz --target digits
    """
    from slth.cli import inputs, show
    from slth.verify import verify as check

    if inputs.searched(path):
        from slth.target import Target
        from slth.verify_found import verify_found

        wanted = None if model is None else inputs.target(model, state, inputs.shape(shape))
        if wanted is not None and not isinstance(wanted, Target):
            allowed = "a stack of Linear and ReLU"
            raise BadInput("--target", model, allowed, "leave it out for masks that classify")
        with show.bar("verifying"):
            report = verify_found(path, wanted)
    else:
        held = inputs.ticket(path)
        if model is None:
            raise click.UsageError("Missing option '--target'", click.get_current_context())
        target = inputs.target(model, state, inputs.shape(shape))
        with show.bar("verifying"):
            report = check(held, target)
    found = {"ticket": path, **report.to_json()}
    show.show_json(found) if as_json else show.show_checks(found)
    return 0 if report.ok else 1


@main.command("bounds")
@click.argument("name", required=False)
@click.option("--dims", help="Widths of the target networks, inputs first: 784,500,10.")
@click.option("--model", metavar="MODEL", help=f"Or the class of one network: {MODEL}.")
@click.option("--state", help="State dict for module.py:factory.")
@click.option(
    "--epsilon",
    type=float,
    required=True,
    help="Error of the whole network, or of one weight in theorems marked so.",
)
@click.option("--delta", type=float, required=True, help="Failure probability.")
@click.option(
    "--entries",
    type=click.Choice(["malach", "one"]),
    default="malach",
    show_default=True,
    help="With --dims: entries up to 1/sqrt(inputs), which every theorem allows, or up to 1.",
)
@click.option("--kernels", help="With --dims: sides of convolution kernels, one a layer: 5,3.")
@click.option("--heads", type=click.IntRange(0), default=0, help="With --dims: attention heads.")
@click.option("--ball", type=float, help="With --model: inputs of this norm. [default: 1]")
@click.option("--box", type=(float, float), metavar="LOW HIGH", help="With --model: this box.")
@as_json
def bounds_command(
    name: str | None,
    dims: str | None,
    model: str | None,
    state: str | None,
    epsilon: float,
    delta: float,
    entries: str,
    kernels: str | None,
    heads: int,
    ball: float | None,
    box: tuple[float, float] | None,
    as_json: bool,
) -> int:
    """What does every theorem ask for: how many random values, how wide a network, how certain?

    Beside each number stand where it comes from, whether its hypotheses hold for targets of these
    widths (norms at most 1, the unit ball) or for MODEL, and the measured need. NAME, such as
    `pensia` or `fixed-size:lower`, shows one theorem in full. A theorem that says nothing at the
    point asked is silent, with the reason; asked for by name it says so too, and only an ε outside
    its formula's limits is refused, with exit status 2.

    \b
    Example:  slth bounds --dims 784,500,10 --epsilon 0.01 --delta 0.01
    """
    from slth.cli import bounds, bounds_table

    target = bounds.target_class(dims, entries, kernels, heads, model, state, ball, box)
    bounds.check_point(target, epsilon, delta)
    head = bounds_table.describe(target, epsilon, delta)
    if name is None:
        found = bounds.rows(target, epsilon, delta)
        bounds_table.show_json(found) if as_json else bounds_table.show_rows(found, head)
    else:
        found = bounds.single(name, target, epsilon, delta)
        bounds_table.show_json(found) if as_json else bounds_table.show_single(found, head)
    return 0


@main.command("prune", cls=PluginCommand, choosers=(METHOD,))
@click.argument("model")
@click.option("--compression", type=float, required=True, help="Weights over kept weights.")
@click.option("--state", help="State dict for module.py:factory.")
@click.option("--shape", help="Of one input: 3,32,32. [default: what the model tells]")
@click.option("--classes", type=click.IntRange(1), help="Outputs of an architecture by name.")
@click.option("--data", help="For methods that need some: gaussian, digits or mnist5k.")
@click.option(
    "--per-class", type=click.IntRange(1), default=10, show_default=True, help="Inputs of a class."
)
@click.option("--masking", default="global", show_default=True, help="global, or local in layers.")
@click.option(
    "--schedule", default="exponential", show_default=True, help="exponential, linear or each."
)
@click.option("--steps", type=int, help="Of the schedule. [default: as published, 1 or 100]")
@click.option("--shortcuts", is_flag=True, help="Prune projections on shortcuts too.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all draws.")
@click.option("--device", default="cpu", show_default=True, help="Torch's name: cpu, cuda.")
@click.option("--out", type=click.Path(path_type=Path), help="Save the masks here, as .npz.")
@as_json
def prune_command(
    model: str,
    compression: float,
    state: str | None,
    shape: str | None,
    classes: int | None,
    data: str | None,
    per_class: int,
    masking: Any,
    schedule: Any,
    steps: int | None,
    shortcuts: bool,
    seed: int,
    device: str,
    out: Path | None,
    as_json: bool,
    method: Any,
) -> int:
    """Which weights of the untrained MODEL should be kept?

    MODEL is a file of a torch.nn.Sequential saved by torch.save, module.py:factory, or an
    architecture by name, such as vgg16 or mlp:784,300,100,10. Prints what each layer keeps, which
    layers are empty, and whether a path from inputs to outputs survives; without one the exit
    status is 3. A mask file goes onto the model by slth.pruning.load_pruning(FILE).apply(model).

    \b
    Example:  slth prune mlp:784,300,100,10 --method synflow --compression 1000
    """
    from slth.cli import inputs, prune, show
    from slth.pruning import prune as run

    inputs.check_output(out)
    saliency = method()
    module, size = prune.model(model, state, inputs.shape(shape), classes, seed)
    module = prune.place(module, device)
    context = prune.context(module, saliency, size, data, per_class, seed)
    with show.bar("pruning", counted=True) as progress:
        found = run(
            module, saliency, compression, context=context, masking=masking, schedule=schedule,
            steps=steps, shortcuts=shortcuts, progress=progress,
        )  # fmt: skip
    if out is not None:
        with inputs.writing(out):
            found.save(out)
    facts = prune.facts(found, module, saliency, size, None if out is None else str(out))
    show.show_json(facts) if as_json else prune.show(facts)
    return 3 if facts["path"] is False else 0


@main.command("collapse")
@click.option("--arch", required=True, help="vgg16, resnet18, mlp:784,300,100,10, …")
@click.option(
    "--methods",
    default="random,magnitude,snip,grasp,synflow",
    show_default=True,
    help="Saliencies by name, with commas between.",
)
@click.option("--seeds", type=click.IntRange(1), help="Networks. [default: 3; on a GPU 10]")
@click.option(
    "--compressions",
    help="Of the curves: 1,10,100. [default: each decade up to N/L; on a GPU each half]",
)
@click.option("--shape", help="Of one input: 3,64,64. [default: the architecture's own]")
@click.option("--classes", type=click.IntRange(1), help="Outputs. [default: 10]")
@click.option("--init", default="kaiming_normal", show_default=True, help="Law of the weights.")
@click.option(
    "--data",
    default="gaussian",
    show_default=True,
    help="What SNIP and GraSP look at: gaussian, digits or mnist5k.",
)
@click.option(
    "--per-class",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="Images of each class.",
)
@click.option(
    "--steps",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Of methods that score anew, such as synflow.",
)
@click.option("--device", default="cpu", show_default=True, help="Torch's name: cpu, cuda.")
@click.option("--workers", type=click.IntRange(1), help="Processes. [default: every core; GPU 1]")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for figure, table, verdicts and the store. [default: out/collapse/ARCH]",
)
@as_json
def collapse_command(
    arch: str,
    methods: str,
    seeds: int | None,
    compressions: str | None,
    shape: str | None,
    classes: int | None,
    init: str,
    data: str,
    per_class: int,
    steps: int,
    device: str,
    workers: int | None,
    out: Path | None,
    as_json: bool,
) -> int:
    """How far can each method prune an untrained ARCH before a layer is empty, or no path is left?

    Draws the thinnest layer and the surviving flow against compression for every method, with the
    range over seeds, marks each method's critical compression beside the largest possible one, and
    writes figure, table and verdicts. An ARCH that there is not lists those that there are. After a
    crash or Ctrl-C the same command goes on from where it was.

    \b
    Example:  slth collapse --arch mlp:784,300,100,10 --methods random,magnitude,synflow
    """
    from slth.cli import collapse, inputs, show
    from slth.collapse.diagram import Setting

    setting = Setting(arch, inputs.shape(shape), classes, init, data, per_class, steps, device)
    folder = out or Path("out", "collapse", arch.replace(":", "-").replace(",", "-"))
    found = collapse.run(setting, methods, seeds, compressions, workers, folder, not as_json)
    show.show_json(found) if as_json else collapse.show(found)
    return 0


@main.command("popup", cls=PluginCommand, choosers=(SEARCH,))
@click.argument("model", required=False)
@click.option(
    "--arch",
    metavar="SPEC",
    help="Instead of MODEL: mlp, mlp:784,300,10, lenet5, vgg16, resnet18 …",
)
@click.option(
    "--data", default="digits", show_default=True, help="digits, mnist5k, or an IDX folder."
)
@click.option("--density", type=float, required=True, help="Fraction of the weights to keep.")
@click.option("--epochs", type=click.IntRange(0), default=20, show_default=True)
@click.option("--batch", type=click.IntRange(1), default=128, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of everything.")
@click.option(
    "--init",
    type=click.Choice(["signed-constant", "normal", "uniform", "own"]),
    default="signed-constant",
    show_default=True,
    help="What the weights are drawn from; own leaves a factory's as they are.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1 …")
@click.option(
    "--precision",
    type=click.Choice(["float32", "mixed"]),
    default="float32",
    show_default=True,
    help="mixed: the network in bfloat16, the scores in float32.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("mask.npz"),
    show_default=True,
    help="Where the masks go, with the seed of the weights and how the search went.",
)
@as_json
def popup_command(
    model: str | None,
    arch: str | None,
    data: str,
    density: float,
    epochs: int,
    batch: int,
    seed: int,
    init: str,
    device: str,
    precision: Literal["float32", "mixed"],
    out: Path,
    as_json: bool,
    method: Any,
) -> int:
    """Search a mask that makes an untrained network classify images: no weight is ever trained.

    MODEL is module.py:factory, a function that returns a torch.nn.Module of linear and
    convolutional layers; or name an architecture by --arch. Its weights are drawn from the seed and
    stay as they are; the mask keeps exactly the density's share of them.

    How far it came goes to the file OUT.part after every epoch until the mask is saved: after a
    crash or Ctrl-C the same command goes on from there and ends as it would have, to the last bit.

    \b
    Example:  slth popup --arch mlp --data mnist5k --density 0.5 --out mask.npz
    """
    from slth.cli import inputs, show
    from slth.cli import popup as parts
    from slth.supermask import Interrupted, search

    inputs.check_output(out)
    chosen = method()
    x, labels, held = parts.examples(data)
    network, shape = parts.network(model, arch, x.shape[1], 1 + int(labels.max()))
    drawn = None if init == "own" else parts.source(chosen, init, density, seed)
    unfinished = out.with_name(f"{out.name}.part")
    with inputs.writing(out):
        try:
            with parts.bar() as progress:
                found = search(
                    network, chosen, parts.objective(x, labels, held, shape),
                    density=density, epochs=epochs, batch=batch, seed=seed, source=drawn,
                    device=device, precision=precision, progress=progress, checkpoint=unfinished,
                )  # fmt: skip
        except Interrupted as error:
            parts.claiming(error.found, data).save(out)
            click.echo(
                f"{error.found.stopped}: the mask so far is in {out}; the same command goes on "
                f"from {unfinished}",
                err=True,
            )
            raise click.Abort from None
        parts.claiming(found, data).save(out)
    unfinished.unlink(missing_ok=True)
    facts = parts.report(found, str(model or arch), data, out)
    show.show_json(facts) if as_json else parts.show(facts, next(iter(found.measures)))
    if found.stopped is None:
        return 0
    _fail(f"{found.stopped}; the last good mask is in {out}; lower --rate or check the data")


@main.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("name", required=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@as_json
def sim(name: str | None, arguments: tuple[str, ...], as_json: bool) -> int:
    """Run the simulation NAME of this checkout; without NAME, list them all.

    What follows NAME goes to the simulation: `slth sim NAME --help` shows its options. It runs as
    `python -m sims.NAME` in the checkout's folder, where its default output goes, and its exit
    status is passed through.

    \b
    Example:  slth sim width_vs_error --smoke
    """
    from slth.cli import show, sims

    if name is None:
        known = sims.simulations(sims.checkout())
        show.show_json(known) if as_json else show.show_simulations(known)
        return 0
    return sims.run(name, ["--json", *arguments] if as_json else list(arguments))
