"""The two batch paths, record pings and claim overdue, as plain SQL per database."""
