"""`flask keyfob ...`: what is done to a site from a shell or a nightly job."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import AppGroup

from keyfob.errors import KeyfobError
from keyfob.web import WebApplication
from keyfob.web.clearing import clear_expired, counted


def make_commands() -> AppGroup:
    """The group `keyfob`, for one app's `cli`."""
    group = AppGroup("keyfob", help="Sign-ins and tokens.")

    @group.command("clear-expired")
    def clear_expired_command() -> None:
        """Remove expired sign-ins and tokens from the token store."""
        site: WebApplication = current_app.extensions["keyfob"]
        try:
            removed = clear_expired(site.store, lambda line: click.echo(line, err=True))
        except KeyfobError as error:
            raise click.ClickException(str(error)) from error
        click.echo(counted(removed))

    @group.command("sign-out-everywhere")
    @click.argument("key")
    def sign_out_everywhere_command(key: str) -> None:
        """End all sessions of the person whose current_user.key is KEY."""
        site: WebApplication = current_app.extensions["keyfob"]
        try:
            ended = site.sign_out_everywhere(key)
        except KeyfobError as error:
            raise click.ClickException(str(error)) from error
        click.echo(f"{ended} session{'' if ended == 1 else 's'} ended")

    return group
