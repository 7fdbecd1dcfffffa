"""How exact the native engine's training steps are: gradients and losses against float64, beside PyTorch's.

Gradients of all parameters, at the first weights and at those after some steps, in float32, against the
NumPy engine in float64: the worst error of a parameter's norm and of its largest entry. PyTorch's own float32
is the yardstick. Where a relu or a maximum is decided otherwise in float32, the positions are counted and the
error is given that is left when float64 decides alike (``held``).

Losses of many steps of training on one batch from the same weights, how far they are from the losses in
float64, and how far boxgrad's are from those of each other library. ``--no-gradients`` compares losses alone.

    python benchmarks/accuracy.py [MODEL ...] [--after 20] [--no-gradients] [--steps 100]
                                  [--against torch,jax] [--json FILE] [--plot FILE]
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

import models
from boxgrad.bench import torch_peer
from boxgrad.bench.accuracy import Errors, errors, flips, gradients, losses, trained, truth
from boxgrad.bench.measure import OURS, threads_of
from boxgrad.bench.models import CASES, Case
from boxgrad.bench.steps import State, boxgrad_step, is_installed, peers_named

SHOWN = (1, 2, 5, 10, 20, 50, 100)
"""The steps whose losses are printed."""


def compared_gradients(case: Case, state: State, torch: bool) -> dict[str, Any]:
    """The errors of every library at these weights, and what float32 decided otherwise."""
    true = truth(case, state)
    found: dict[str, Any] = {OURS: asdict(errors(gradients(case, state, "native"), true))}
    if torch:
        found["torch-eager"] = asdict(errors(torch_peer.gradients(case, state), true))
    flipped = flips(case, state, "native")
    return found | ({"flips": asdict(flipped)} if flipped else {})


def compared_losses(case: Case, state: State, peers: str, steps: int) -> dict[str, list[float]]:
    """The losses of every library, and those in float64: PyTorch's, which are independent, if there are."""
    double = replace(case, double=True)
    makers: dict[str, Callable[[], Any]] = {
        "float64": boxgrad_step(double, state, "native")[0],
        OURS: boxgrad_step(case, state, "native")[0],
    }
    if is_installed("torch"):
        makers["float64"] = torch_peer.eager(double, state)
        makers[f"{OURS}-float64"] = boxgrad_step(double, state, "native")[0]
    makers |= {peer: make(case, state) for peer, make in peers_named(peers).items()}
    return {library: losses(step, steps) for library, step in makers.items()}


def say_gradients(rows: dict[str, Any], after: int) -> None:
    """Print the errors of gradients."""
    for library, row in rows.items():
        if library == "flips":
            held = Errors(**row["held"])
            print(
                f"{'':<12}{row['count']} of {row['positions']:,} relus and maxima decided otherwise; "
                f"with the same decisions {held.norm:.1e} ({held.parameter})"
            )
        else:
            error = Errors(**row)
            print(
                f"{'':<12}{library:<14} gradients after {after} steps: norm {error.norm:.1e}, "
                f"largest entry {error.largest:.1e} ({error.parameter})"
            )


def say_losses(found: dict[str, list[float]]) -> None:
    """Print the losses in float64, and by how much those of each library differ."""
    true = np.array(found["float64"])
    shown = [step for step in SHOWN if step <= len(true)]
    print(f"{'':<12}{'after step':<20}" + "".join(f"{step:>9}" for step in shown) + "   largest of all")
    print(f"{'':<12}{'loss in float64':<20}" + "".join(f"{true[step - 1]:>9.4f}" for step in shown))
    for library, row in found.items():
        if library != "float64":
            apart = np.abs(np.array(row) - true)
            cells = "".join(f"{apart[step - 1]:>9.0e}" for step in shown)
            print(f"{'':<12}{library:<20}{cells}{np.max(apart):>9.0e}")
    for library in (name for name in found if name not in ("float64", OURS, f"{OURS}-float64")):
        apart = np.abs(np.array(found[OURS]) - found[library])
        print(f"{'':<12}{OURS} and {library}: largest {np.max(apart):.1e}, at step {np.argmax(apart) + 1}")


def plot(results: dict[str, Any], path: Path) -> None:
    """Draw for each model how far each library's losses are from those in float64."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to load, and seldom needed

    figure = Figure(figsize=(3.4 * len(results), 3.2), dpi=130, layout="constrained")
    for number, (name, result) in enumerate(results.items()):
        axes = figure.add_subplot(1, len(results), number + 1)
        true = np.array(result["losses"]["float64"])
        for library, row in result["losses"].items():
            if library != "float64":
                apart = np.maximum(np.abs(np.array(row) - true), 1e-16)
                axes.semilogy(np.arange(1, len(true) + 1), apart, label=library, linewidth=1)
        axes.set_title(name)
        axes.set_xlabel("step")
        axes.spines[["top", "right"]].set_visible(False)
        if not number:
            axes.set_ylabel("|loss − loss in float64|")
            axes.legend(frameon=False, fontsize=7)
    figure.savefig(path)


def main() -> None:
    """Compare, print, write JSON and a plot if asked."""
    parser = models.arguments(__doc__)
    parser.add_argument("--after", type=int, default=20, help="steps before gradients are compared again")
    parser.add_argument("--steps", type=int, default=100, help="steps over which losses are compared")
    parser.add_argument("--no-gradients", action="store_true", help="compare losses alone")
    parser.add_argument("--against", metavar="PEERS", help="as of boxgrad bench; PyTorch if it is installed")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw how losses differ")
    options = models.parsed(parser)
    torch = is_installed("torch")
    against = "torch" if options.against is None and torch else options.against or ""
    results: dict[str, Any] = {}
    with threads_of(options.threads):
        for name in options.models:
            case = CASES[name]
            state = case.state()
            result: dict[str, Any] = {"gradients": {}, "losses": {}}
            results[name] = result
            print(name)
            for after in () if options.no_gradients else dict.fromkeys((0, options.after)):
                weights = trained(case, state, "native", after)
                result["gradients"][after] = compared_gradients(case, weights, torch)
                say_gradients(result["gradients"][after], after)
            if options.steps:
                result["losses"] = compared_losses(case, state, against, options.steps)
                say_losses(result["losses"])
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if options.plot:
        plot(results, options.plot)


if __name__ == "__main__":
    main()
