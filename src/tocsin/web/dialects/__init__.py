"""The APIs that Tocsin speaks: one module or package each, none knowing another."""
