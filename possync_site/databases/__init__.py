"""Django's databases, but a query that was compiled once is not compiled again for other values."""
