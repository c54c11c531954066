"""Measures Tocsin on this machine: `make bench` prints the table and writes docs/benchmarks.md."""
