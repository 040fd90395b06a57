"""MSAL for Python and Keyfob, side by side at two identical local identity providers."""
