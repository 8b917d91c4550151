from __future__ import annotations

import os
from importlib import import_module

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "possync_site.settings")
application = get_wsgi_application()
# Before the processes part, so that they share it.
import_module("possync_site.api_urls")
