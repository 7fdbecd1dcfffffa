"""Formulas: read in code, in LaTeX and as printed mathematics; evaluated; repaired by the smallest edit."""
