from __future__ import annotations

import sys
from importlib import import_module

# structlog draws tracebacks with rich where a developer has that; nothing here does, and it is a tenth of every start.
if "rich" not in sys.modules:
    sys.modules["rich"] = None  # type: ignore[assignment]
    import_module("structlog")
    del sys.modules["rich"]
