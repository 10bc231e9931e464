"""Score manifests of any length on a Ray cluster, or on Ray on this machine."""
