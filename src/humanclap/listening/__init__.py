"""Listening tests: design a study, serve it, keep the answers, export the ratings."""
