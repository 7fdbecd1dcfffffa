"""Figures as a table, as a file, as a plot.

Knows figures; knows nothing of how they were measured.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from boxgrad.bench.measure import Figures
from boxgrad.train.files import write_atomically
from boxgrad.train.plots import BLUE, GREY, ORANGE


def row(figures: Figures) -> str:
    """A model's lines of the table."""
    lines = [f"{figures.model:<12}{'boxgrad':<14}{figures.ours_ms:>9.3f} ms{_rate(figures)}"]
    for peer, taken in figures.peers.items():
        line = f"{'':<12}{peer:<14}{taken:>9.3f} ms  boxgrad {figures.ratios[peer]:.2f} × as fast"
        apart = figures.differences.get(peer)
        lines.append(line if apart is None else f"{line}; losses ± {apart:.0e}")
    checked = f"losses {figures.losses[0]:.4f} … {figures.losses[-1]:.4f}" if figures.losses else ""
    peak = f"peak {figures.probe:.0f} GFLOP/s"
    phase = "good phase" if figures.good_phase else "no good phase: run again when the machine is quiet"
    lines.append(f"{'':<12}{'; '.join(filter(None, (checked, peak)))}")
    lines.append(f"{'':<12}{figures.slow} of {figures.blocks} blocks slow: {phase}")
    return "\n".join(lines)


def _rate(figures: Figures) -> str:
    if figures.gflops is None or figures.peak_fraction is None:
        return ""
    return f"  {figures.gflops:.1f} GFLOP/s, {figures.peak_fraction:.0%} of the peak"


def document(all_figures: Sequence[Figures], engine: str, threads: int) -> dict[str, Any]:
    """Everything that was measured, for JSON."""
    return {
        "engine": engine,
        "threads": threads,
        "machine": platform.machine(),
        "models": [figures.as_json() for figures in all_figures],
    }


def save(content: dict[str, Any], path: Path) -> None:
    """Write JSON, atomically."""
    text = json.dumps(content, indent=1) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def plot(all_figures: Sequence[Figures], path: Path) -> None:
    """Draw for each model how much faster boxgrad is than each peer; a line marks equal speed."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to load, and seldom needed

    peers = list(dict.fromkeys(peer for figures in all_figures for peer in figures.ratios))
    colours = dict(zip(peers, [ORANGE, BLUE, GREY, "#009E73", "#CC79A7"] * len(peers), strict=False))
    height = 0.8 / max(1, len(peers))
    figure = Figure(figsize=(7.2, 1.2 + 0.7 * len(all_figures)), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    shown: set[str] = set()
    for position, figures in enumerate(all_figures):
        for number, peer in enumerate(peers):
            if peer in figures.ratios:
                y = position + (number - (len(peers) - 1) / 2) * height
                value = figures.ratios[peer]
                label = None if peer in shown else peer
                shown.add(peer)
                axes.barh(y, value, 0.9 * height, color=colours[peer], label=label)
                axes.text(value, y, f" {value:.2f} ×", va="center", fontsize=8)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(all_figures)), [figures.model for figures in all_figures])
    axes.invert_yaxis()
    axes.set_xlabel("how many times as fast boxgrad's training step is (more than 1: boxgrad is faster)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.12)
    if peers:
        axes.legend(frameon=False, loc="best")
    kind = path.suffix.lstrip(".") or "png"
    write_atomically(path, lambda temporary: figure.savefig(temporary, format=kind))
