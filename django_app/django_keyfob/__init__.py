"""Microsoft and OpenID Connect sign-in for Django, and the API tokens that come with it."""
