"""A diagram as Mermaid text: a flowchart of boxes with the values on its arrows, gradients dashed."""

from __future__ import annotations

from collections.abc import Iterator

from boxgrad.explain.arrangement import Arrangement
from boxgrad.explain.document import plain


def mermaid(arrangement: Arrangement, direction: str = "right") -> str:
    """The text of a flowchart."""
    writer = _Writer()
    lines = [f"flowchart {'LR' if direction == 'right' else 'TB'}", *writer.level(arrangement, {})]
    backward = ",".join(map(str, writer.backward))
    if backward:
        lines.append(f"  linkStyle {backward} stroke:#D55E00,color:#b34e00")
    forward = ",".join(str(n) for n in range(writer.links) if n not in set(writer.backward))
    if forward:
        lines.append(f"  linkStyle {forward} stroke:#0072B2,color:#00639b")
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """Text as a Mermaid string: quotes and hashes by their entities.

    >>> quoted('a "b"')
    '"a #quot;b#quot;"'
    """
    escaped = text.replace("#", "#35;").replace('"', "#quot;").replace("\n", "<br/>")
    return f'"{escaped}"'


class _Writer:
    def __init__(self) -> None:
        self.links = 0
        self.backward: list[int] = []
        self._values = 0

    def level(self, arrangement: Arrangement, outside: dict[str, str], indent: str = "  ") -> Iterator[str]:
        """The lines of one level; ``outside`` says which node makes a value, and is added to."""
        made = outside
        for station in arrangement.stations.values():
            value = station.value
            if station.source and not station.silent:
                made[value.name] = f"v{self._values}"
                self._values += 1
                label = quoted(f"{value.name}\n{'×'.join(map(str, value.shape)) or 'scalar'}")
                left, right = ("[/", "/]") if value.role == "parameter" else ("([", "])")
                yield f"{indent}{made[value.name]}{left}{label}{right}"
        for unit in arrangement.units:
            node = "b" + unit.path.replace(".", "_").replace("-", "to")
            if unit.inside is not None:
                yield f"{indent}subgraph {node}[{quoted(plain(unit.name))}]"
                yield from self.level(unit.inside, made, indent + "  ")
                yield f"{indent}end"
                continue
            label = quoted("\n".join(part for part in (plain(unit.symbol), plain(unit.name)) if part))
            left, right = ("[[", "]]") if unit.opens else ("[", "]")
            yield f"{indent}{node}{left}{label}{right}"
            for value in unit.inputs:
                yield f"{indent}{made[value.name]} -- {quoted(value.name)} --> {node}"
                self.links += 1
                if value in unit.factors:
                    said = quoted(f"∂{value.name} {plain(unit.factors[value])}".strip())
                    yield f"{indent}{node} -. {said} .-> {made[value.name]}"
                    self.backward.append(self.links)
                    self.links += 1
            for value in unit.outputs:
                made[value.name] = node
