"""Graph → graph: each pass keeps what the graph computes and changes how."""

from boxgrad.passes.fold import fold
from boxgrad.passes.lookups import lookups
from boxgrad.passes.loops import loosen
from boxgrad.passes.prune import prune
from boxgrad.passes.recompute import recompute
from boxgrad.passes.share import share

__all__ = ["fold", "lookups", "loosen", "prune", "recompute", "share"]
