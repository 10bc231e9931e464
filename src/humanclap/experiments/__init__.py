"""Grids of training runs judged on pairs they have not met: joins ratings, training, scoring.

A room above the stages, since a grid needs several of them and stages never import each other.
"""
