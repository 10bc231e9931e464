"""Brings data sets from their publishers' addresses."""
