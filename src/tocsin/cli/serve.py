"""`tocsin serve`."""

from __future__ import annotations

from pathlib import Path

import click


class Serve(click.Command):
    """A command whose help ends with all settings."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The settings, as docs/settings.md has them."""
        from tocsin.settings import describe_settings

        rows = [
            (setting.variable, f"{setting.text} [{setting.default}]" if setting.default else setting.text)
            for setting in describe_settings()
        ]
        with formatter.section("Settings (environment, or tocsin.toml)"):
            formatter.write_dl(rows)


@click.command("serve", cls=Serve)
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on; 0 takes a free one.")
@click.option("--workers", type=int, help="Processes that take pings (PostgreSQL only).")
@click.option("--data", type=click.Path(path_type=Path), help="Folder for the database and the key.")
def command(host: str | None, port: int | None, workers: int | None, data: Path | None) -> None:
    """Start the server: it migrates its database, prints its address, and stops cleanly on SIGTERM."""
    from tocsin.settings import load_settings

    # Settings first: a mistake in them is told before the server is loaded.
    settings = load_settings(host=host, port=port, workers=workers, data=data)
    from tocsin.app import serve

    serve(settings)
