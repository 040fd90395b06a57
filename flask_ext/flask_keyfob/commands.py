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

    return group
