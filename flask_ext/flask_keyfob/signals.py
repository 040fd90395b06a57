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
