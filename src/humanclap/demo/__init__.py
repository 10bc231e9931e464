"""A rated set out of nothing: synthesised sounds, invented systems and a simulated panel."""
