"""What runs beside the user's jobs: standard library only, independent of the server."""
