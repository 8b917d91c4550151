#!/usr/bin/env python
from __future__ import annotations

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "possync_site.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as e:
        # A wrong setting is the operator's to mend: one line, not a traceback.
        sys.exit(f"possync: {e}")


if __name__ == "__main__":
    main()
