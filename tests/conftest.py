"""Settings of the tests; that this file is here also lets every test import ``samples`` and ``numeric``."""

from __future__ import annotations

from hypothesis import settings

# Examples are the same in every run, and a slow machine is not an error.
settings.register_profile("boxgrad", deadline=None, derandomize=True, max_examples=25, database=None)
settings.load_profile("boxgrad")
