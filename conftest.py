"""Settings of every test process.

One thread for matrix products: the tests run in one process per core, and their matrices are small. Object
code is kept beside pytest's own cache, for all processes, and not in the user's.
"""

import os
from pathlib import Path

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("BOXGRAD_CACHE", str(Path(__file__).parent / ".pytest_cache" / "objects"))
