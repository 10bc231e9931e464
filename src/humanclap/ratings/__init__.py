"""Ratings: read, screen, standardise, aggregate. No torch."""
