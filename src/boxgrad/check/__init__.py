"""The gradient doctor: what is wrong with somebody's gradient, and where.

Compares a claim with the true gradient at several points; where they differ, looks for the smallest mistake
in the derivation that gives exactly the claimed numbers.
"""
