"""A diagram as DOT text for Graphviz: boxes as nodes, values as edges, gradients beside them."""

from __future__ import annotations

from collections.abc import Iterator

from boxgrad.explain.arrangement import Arrangement, Unit
from boxgrad.explain.document import plain

_SHAPES = {"input": "ellipse", "parameter": "ellipse", "constant": "box", "unused": "ellipse"}


def dot(arrangement: Arrangement, direction: str = "right") -> str:
    """The text of a directed graph; ``dot -Tsvg`` draws it."""
    lines = [
        "digraph boxgrad {",
        f"  rankdir={'LR' if direction == 'right' else 'TB'};",
        '  node [shape=box, style=rounded, fontname="sans-serif"];',
        '  edge [fontname="sans-serif", color="#0072B2", fontcolor="#00639b"];',
        *_level(arrangement, {}),
        "}",
    ]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """Text as a DOT string.

    >>> quoted('a "b"')
    '"a \\\\"b\\\\""'
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _level(arrangement: Arrangement, made: dict[str, str]) -> Iterator[str]:
    """The lines of one level; ``made`` says which node makes a value, and is added to."""
    for station in arrangement.stations.values():
        value = station.value
        if station.source and not station.silent:
            made[value.name] = f"value_{len(made)}_{value.name}"
            label = quoted(f"{value.name}\n{'×'.join(map(str, value.shape)) or 'scalar'}")
            style = ', style="filled", fillcolor="#e8f1f7"' if value.role == "parameter" else ""
            shape = _SHAPES.get(value.role, "ellipse")
            yield f'  "{made[value.name]}" [label={label}, shape={shape}, color="#0072B2"{style}];'
    for unit in arrangement.units:
        if unit.inside is not None:
            yield f'  subgraph "cluster_{unit.path}" {{'
            yield f"  label={quoted(plain(unit.name))}; style=dotted;"
            yield from _level(unit.inside, made)
            yield "  }"
            continue
        symbol, name = plain(unit.symbol), plain(unit.name)
        label = quoted("\n".join(part for part in (symbol, name) if part))
        lines = ', peripheries=2, style="rounded"' if unit.opens else ""
        lines += ', color="#c0102a", fontcolor="#c0102a"' if unit.kind == "failed" else ""
        yield f'  "box_{unit.path}" [label={label}{lines}];'
        for value in unit.inputs:
            yield from _edges(unit, value.name, made[value.name])
        for value in unit.outputs:
            made[value.name] = f"box_{unit.path}"


def _edges(unit: Unit, name: str, source: str) -> Iterator[str]:
    yield f'  "{source}" -> "box_{unit.path}" [label={quoted(name)}];'
    for value, runs in unit.factors.items():
        if value.name == name:
            label = quoted(f"∂{name} {plain(runs)}".strip())
            yield (
                f'  "box_{unit.path}" -> "{source}" '
                f'[label={label}, style=dashed, constraint=false, color="#D55E00", fontcolor="#b34e00"];'
            )
