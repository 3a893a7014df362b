"""What holds for every test: one thread a library, derandomised properties, no display, and a last
section of the log that names the engines that really ran.
"""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Iterator

# Before NumPy or torch is imported: under two workers on two cores, libraries that start a thread
# per core each slow one another down a hundredfold.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ["MPLBACKEND"] = "Agg"

import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

# too_slow reads the clock, so a busy machine would fail a sound test
settings.register_profile(
    "slth", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("slth")


@pytest.fixture(autouse=True)
def _stays_here() -> Iterator[None]:
    """A test that leaves the worker in another folder breaks those after it, not itself."""
    here = os.getcwd()
    yield
    assert os.getcwd() == here, "left in another folder"


_ENGINES = pytest.StashKey[dict[str, set[str]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_ENGINES] = {}
    if config.pluginmanager.hasplugin("xdist"):
        config.pluginmanager.register(_Gather(config), "slth-engines")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    found = _engines()
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["engines"] = {k: sorted(v) for k, v in found.items()}
    else:
        _merge(session.config, found)


class _Gather:
    """Takes what a worker process saw, which the process that writes the log did not see."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_testnodedown(self, node: object, error: object) -> None:
        _merge(self.config, getattr(node, "workeroutput", {}).get("engines", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    found = terminalreporter.config.stash[_ENGINES]
    kernels = found.get("numba", set())
    gpus = found.get("cuda", set())
    terminalreporter.section("engines that ran")
    if kernels:
        terminalreporter.line(f"numba on the CPU: {len(kernels)} kernels")
    else:
        terminalreporter.line("numba on the CPU: not run")
    cpu = ", ".join(sorted(found.get("torch", set())))
    terminalreporter.line(f"torch on the CPU: {cpu or 'not run'}")
    terminalreporter.line(f"GPU: {', '.join(sorted(gpus)) or 'not run'}")


def _merge(config: pytest.Config, found: dict[str, object]) -> None:
    for engine, names in found.items():
        config.stash[_ENGINES].setdefault(engine, set()).update(names)


def _engines() -> dict[str, set[str]]:
    """Compiled kernels of slth that were called, torch if in use, GPUs that hold a context."""
    found: dict[str, set[str]] = {}
    numba, torch = sys.modules.get("numba"), sys.modules.get("torch")
    if numba is not None:
        modules = [m for n, m in list(sys.modules.items()) if n.startswith("slth.")]
        found["numba"] = {
            f"{value.py_func.__module__}.{value.py_func.__qualname__}"
            for module in modules
            if isinstance(module, types.ModuleType)
            for value in vars(module).values()
            if isinstance(value, numba.core.dispatcher.Dispatcher) and value.signatures
        }
    if torch is not None:
        found["torch"] = {str(torch.__version__)}
        if torch.cuda.is_initialized():
            found["cuda"] = {torch.cuda.get_device_name()}
    return found
