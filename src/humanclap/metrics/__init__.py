"""Measures of agreement and of rating reliability; numpy and scipy only."""
