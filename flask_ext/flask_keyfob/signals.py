"""What other parts of a site may want to hear of. The sender is the app.

@user_logged_in.connect_via(app)
def remember(app, *, user, identity):
    ...
"""

from blinker import Namespace

_signals = Namespace()

#: Somebody signed in: `user` (as `current_user`) and `identity`, with all claims of the ID token.
#: Sent when the session is theirs already.
user_logged_in = _signals.signal("user-logged-in")

#: Somebody signs out: `user`. Sent while the session is still theirs.
user_logged_out = _signals.signal("user-logged-out")

#: An organisation joins (ADMIN_CONSENT): `tenant`, its id as the sign-in of one of its people
#: proves it; `identity`, who that is; `administrator`, True where their ID token says that they may
#: agree for it, None where it does not say. That they have agreed, nobody proves. Sent before
#: anybody of the tenant is let in: ALLOWED_TENANTS is asked afterwards. A receiver may raise
#: `keyfob.errors.SignInRefused`, with a text for the page.
tenant_onboarded = _signals.signal("tenant-onboarded")
