"""Backward passes written out by hand, each with a switch that plants one mistake: what people really do.

The mistakes were written before the catalogue of mistakes that the doctor searches, and without it, so that
they measure how far it carries. Each names the values, in the function's own names, to whose step back it
belongs; more than one where the steps form a chain without fan-out and nobody could tell them apart.

Without a mistake (``""``) a pass is right, which ``test_defects.py`` checks.
"""

from __future__ import annotations

import blind_attention
import blind_dense
import blind_images
import blind_losses
import blind_norms
import blind_recurrent
from blind_pass import Pass

PASSES: tuple[Pass, ...] = (
    *blind_dense.PASSES,
    *blind_losses.PASSES,
    *blind_norms.PASSES,
    *blind_images.PASSES,
    *blind_attention.PASSES,
    *blind_recurrent.PASSES,
)
