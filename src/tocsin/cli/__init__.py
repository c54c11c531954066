"""The commands: one module each, imported only when it is asked for.

Whatever goes wrong is one line on stderr and a status other than 0: 1, or 2 for a mistake in the command.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import click

COMMANDS = ("doctor", "key", "monitor", "send-test", "serve", "sign-in-link", "version")
INTERRUPTED = 130


class Commands(click.Group):
    """Finds a command in the module of its name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, or None where there is no such name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"{__name__}.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def tocsin() -> None:
    """The alarm bell for jobs that did not run."""


def run(arguments: Sequence[str]) -> int:
    """Run a command; its exit status."""
    try:
        status = tocsin.main(list(arguments), prog_name="tocsin", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.ClickException as error:
        return _complain(error.format_message(), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        return 1
    except Exception as error:  # noqa: BLE001 - nobody is shown a traceback
        return _complain(describe(error))
    return status if isinstance(status, int) else 0


def describe(error: Exception) -> str:
    """What went wrong, in one line. Our own errors are sentences; of others the kind helps."""
    fields = getattr(error, "fields", None)
    if fields:
        return "; ".join(f"{field}: {message}" for field, message in fields.items())
    if isinstance(error, click.ClickException):
        return error.format_message()
    is_ours = type(error).__module__.startswith("tocsin.")
    origin = getattr(error, "orig", None) or error
    return str(error) if is_ours else f"{origin} ({type(origin).__name__})"


def _complain(message: str, status: int = 1) -> int:
    click.echo(f"tocsin: {' '.join(message.split())}", err=True)
    return status
