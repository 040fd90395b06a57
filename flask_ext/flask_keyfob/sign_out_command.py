"""`flask keyfob sign-out-everywhere`: end a person's sessions from a shell."""

from __future__ import annotations

import click
from flask import Flask
from flask.cli import AppGroup, with_appcontext

from flask_keyfob.proxies import current_site
from keyfob.errors import KeyfobError


@click.command("sign-out-everywhere")
@click.argument("key")
@with_appcontext
def sign_out_everywhere_command(key: str) -> None:
    """End all sessions of the person whose current_user.key is KEY."""
    try:
        ended = current_site().sign_out_everywhere(key)
    except KeyfobError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{ended} session{'' if ended == 1 else 's'} ended")


def add_sign_out_command(app: Flask) -> None:
    """Put the command into the app's group `keyfob`, which is made where there is none yet."""
    group = app.cli.commands.get("keyfob")
    if not isinstance(group, AppGroup):
        group = AppGroup("keyfob", help="Sign-ins and tokens.")
        app.cli.add_command(group)
    group.add_command(sign_out_everywhere_command)
