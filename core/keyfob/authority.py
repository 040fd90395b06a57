"""Authorities by their parts: the names that MSAL has in `msal.authority`.

::

    from keyfob.authority import AZURE_US_GOVERNMENT, AuthorityBuilder

    authority = AuthorityBuilder(AZURE_US_GOVERNMENT, "contoso.onmicrosoft.us")
"""

from keyfob.protocol.authority import AuthorityBuilder
from keyfob.protocol.clouds import (
    AZURE_GOV_DE,
    AZURE_GOV_FR,
    AZURE_GOV_SG,
    AZURE_PUBLIC,
    AZURE_US_GOVERNMENT,
    DEPRECATED_AZURE_CHINA,
)

__all__ = [
    "AZURE_GOV_DE",
    "AZURE_GOV_FR",
    "AZURE_GOV_SG",
    "AZURE_PUBLIC",
    "AZURE_US_GOVERNMENT",
    "DEPRECATED_AZURE_CHINA",
    "AuthorityBuilder",
]
