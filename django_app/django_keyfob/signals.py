"""What a project may want to hear of, beside Django's own signals of a sign-in and a sign-out.

@receiver(tenant_onboarded)
def remember(sender, *, request, tenant, identity, administrator, **_):
    ...
"""

from django.dispatch import Signal

#: An organisation joins (ADMIN_CONSENT): `tenant`, its id as the sign-in of one of its people
#: proves it; `identity`, who that is; `administrator`, True where their ID token says that they may
#: agree for it, None where it does not say. That they have agreed, nobody proves. Sent before
#: anybody of the tenant is let in: ALLOWED_TENANTS is asked afterwards. A receiver may raise
#: `keyfob.errors.SignInRefused`, with a text for the page.
tenant_onboarded = Signal()
