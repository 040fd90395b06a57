"""MSAL's client applications: the verbs by which tokens are had."""

from keyfob.applications.client_application import ClientApplication
from keyfob.applications.confidential import ConfidentialClientApplication
from keyfob.applications.public import PublicClientApplication

__all__ = ["ClientApplication", "ConfidentialClientApplication", "PublicClientApplication"]
