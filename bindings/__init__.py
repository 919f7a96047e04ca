"""One file per binding type: how its values get into and out of functions."""
