"""Published models: their short names, what of them is cached, and the table of them all."""
