"""Judge any metric's scores against people. No torch."""
