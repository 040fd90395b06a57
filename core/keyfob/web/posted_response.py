"""An answer that the provider posts: on to where the browser brings our cookies.

`form_post` without SameSite=None cookies (OAuth 2.0 Form Post Response Mode §1).
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from keyfob.errors import AuthorizationResponseError
from keyfob.web.exchange import Answer, Pairs, WebRequest, first, redirect
from keyfob.web.problems import page_answer, page_for

if TYPE_CHECKING:
    from keyfob.web.application import WebApplication

#: What a posted response may measure: it travels on in an address.
_MAX_RESPONSE = 6000
#: Seconds between the provider's post and our own redirect coming in.
_BOUNCE_LIFETIME = 60
_BOUNCE = "posted authorization response"


def bounce(site: WebApplication, request: WebRequest) -> Answer:
    """The provider's cross-site POST carries no Lax cookie, but the GET that we redirect to does.
    The response travels sealed, so that no code stands in an address.
    """
    content = json.dumps([list(pair) for pair in request.form]).encode()
    if len(content) > _MAX_RESPONSE:
        error = AuthorizationResponseError("The posted response is too large", code="too_large")
        status, page = page_for(error)
        return page_answer(status, page, retry_url=request.routes.login, error=error)
    # Compressed, since what is sealed grows by a third: some servers take no address over 4 kB.
    sealed = site.sealer.seal_text(zlib.compress(content), context=_BOUNCE, now=site.clock())
    return redirect(f"{request.routes.callback}?{urlencode({'posted': sealed})}", status=303)


def received(site: WebApplication, request: WebRequest) -> Pairs:
    """The answer's parameters, however they came; none where what was sealed is not ours."""
    posted = first(request.query, "posted")
    if posted is None:
        return request.query
    content = site.sealer.unseal_text(
        posted, context=_BOUNCE, max_age=_BOUNCE_LIFETIME, now=site.clock()
    )
    pairs = json.loads(zlib.decompress(content)) if content else []
    return [(name, value) for name, value in pairs]
