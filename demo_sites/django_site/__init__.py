"""The demo site, on Django: public, signed in, and calling an API in the person's name."""
