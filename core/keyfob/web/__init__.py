"""One browser session: sign in, who is here, tokens for it, sign out. Knows no framework."""

from keyfob.web.application import WebApplication
from keyfob.web.exchange import Answer, Cookie, Page, Routes, WebRequest
from keyfob.web.identity import Identity, User
from keyfob.web.session import SESSION_KEY, WebSession
from keyfob.web.settings import DownstreamApi, Settings, load_settings

__all__ = [
    "SESSION_KEY",
    "Answer",
    "Cookie",
    "DownstreamApi",
    "Identity",
    "Page",
    "Routes",
    "Settings",
    "User",
    "WebApplication",
    "WebRequest",
    "WebSession",
    "load_settings",
]
