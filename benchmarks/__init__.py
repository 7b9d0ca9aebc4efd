"""Comparisons with other tools on the same work, in one run; `make bench` writes them down."""
