"""MSAL's client applications: the verbs by which tokens are had."""

from keyfob.applications.confidential import ConfidentialClientApplication

__all__ = ["ConfidentialClientApplication"]
