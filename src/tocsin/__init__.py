"""Tocsin: the alarm bell for jobs that did not run."""

__version__ = "0.1.0"
