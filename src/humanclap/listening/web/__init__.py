"""The web pages of a listening test; nothing else of humanclap imports a web framework."""
