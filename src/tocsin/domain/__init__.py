"""The rules, pure: no I/O and no clock; `now` is always an argument."""
