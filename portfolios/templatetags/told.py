from __future__ import annotations

from django import template

from portfolios.selectors.told import told

register = template.Library()
register.filter("told", told)
