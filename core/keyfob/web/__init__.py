"""One browser session: sign in, who is here, tokens for it, sign out. Knows no framework."""

from keyfob.web.application import WebApplication
from keyfob.web.exchange import Answer, Cookie, Page, Routes, WebRequest
from keyfob.web.identity import Identity, User
from keyfob.web.onboarding import Onboarding
from keyfob.web.session import WebSession
from keyfob.web.session_entry import SESSION_KEY
from keyfob.web.settings import Settings, load_settings
from keyfob.web.settings_apis import DownstreamApi

__all__ = [
    "SESSION_KEY",
    "Answer",
    "Cookie",
    "DownstreamApi",
    "Identity",
    "Onboarding",
    "Page",
    "Routes",
    "Settings",
    "User",
    "WebApplication",
    "WebRequest",
    "WebSession",
    "load_settings",
]
