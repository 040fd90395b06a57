"""Setting up: settings, apps, decorators, and what a request costs that does not need Keyfob."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Blueprint, Flask, g, render_template_string, request, session
from flask.views import MethodView, View

from flask_ext.site import RunningSite, running_site
from flask_ext.support import GRACE, configured, get, settings_for, who
from flask_keyfob import Keyfob, current_user, login_required
from keyfob.errors import ConfigurationError, InteractionRequired, StoreUnavailable
from keyfob.web import WebApplication
from support.form_browser import FormBrowser
from support.provider import CLIENT_ID, CLIENT_SECRET, Provider

DOCS = Path(__file__).parents[2] / "docs" / "flask.md"


def blocks(language: str) -> Iterator[str]:
    """The code blocks of docs/flask.md."""
    for part in DOCS.read_text().split(f"```{language}\n")[1:]:
        yield part.partition("```")[0]


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("quick_start", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_quick_start_works_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, browser: FormBrowser
) -> None:
    (tmp_path / "app.py").write_text(next(blocks("python")))
    with Provider(entra=True) as provider:
        monkeypatch.setenv("FLASK_SECRET_KEY", "0123456789abcdef" * 4)
        monkeypatch.setenv("FLASK_KEYFOB_CLIENT_ID", CLIENT_ID)
        monkeypatch.setenv("FLASK_KEYFOB_CLIENT_SECRET", CLIENT_SECRET)
        monkeypatch.setenv("FLASK_KEYFOB_AUTHORITY", provider.authority("organizations"))
        app: Flask = load(tmp_path / "app.py").app
        # It has no views of the test site, and the default store in the instance folder.
        app.instance_path = str(tmp_path / "instance")
        with running_site({}, make=lambda *_, **__: app) as site:
            assert browser.open(f"{site.url}/").text == "Hello Ada Keyring"
            assert browser.open(f"{site.url}/me").response.json()["displayName"] == "Ada Keyring"
            assert not site.errors


def test_without_a_token_store_setting_it_is_a_file_in_the_instance_folder(
    provider: Provider, browser: FormBrowser
) -> None:
    with running_site(settings_for(provider, TOKEN_STORE="")) as site:
        instance = Path(site.app.instance_path)
        browser.open(site.url)
        assert not list(instance.iterdir()), "nothing is opened before it is needed"
        browser.open(f"{site.url}/private")
        assert (instance / "keyfob.sqlite3").exists()
        assert not site.errors


def test_a_factory_and_a_module_level_keyfob() -> None:
    keyfob = Keyfob()

    def create_app(name: str) -> Flask:
        app = configured(CLIENT_ID=name)
        keyfob.init_app(app)
        return app

    one, two = create_app("one"), create_app("two")
    assert one.extensions["keyfob"].settings.client_id == "one"
    assert two.extensions["keyfob"].settings.client_id == "two"
    assert not [each for each in vars(keyfob).values() if isinstance(each, (Flask, WebApplication))]


def test_two_apps_in_one_process_have_their_own_providers_and_sessions() -> None:
    with (
        Provider() as first,
        Provider(person=GRACE) as second,
        running_site(settings_for(first)) as one,
        running_site(settings_for(second), host="localhost") as two,
        FormBrowser() as browser,
    ):
        assert who(browser.open(f"{one.url}/private")) == "Hello Ada Keyring"
        assert who(browser.open(f"{two.url}/")) == "Nobody"
        assert who(browser.open(f"{two.url}/private")) == "Hello Grace Padlock"
        assert who(browser.open(f"{one.url}/")) == "Hello Ada Keyring"
        assert not one.errors + two.errors


def test_a_second_keyfob_on_one_app_is_refused() -> None:
    app = configured()
    Keyfob(app)
    with pytest.raises(RuntimeError, match="Do it once"):
        Keyfob().init_app(app)


def test_an_app_without_keyfob_says_what_is_missing() -> None:
    app = Flask("bare")
    app.secret_key = "x"
    with app.test_request_context(), pytest.raises(RuntimeError, match=r"call Keyfob\(app\)"):
        str(current_user.name)


def test_missing_settings_are_named_with_their_cure() -> None:
    app = Flask("bare")
    app.secret_key = "x"
    with pytest.raises(ConfigurationError) as caught:
        Keyfob(app)
    assert 'app.config["KEYFOB_CLIENT_ID"]' in str(caught.value)
    assert "keyfob" not in app.extensions, "and a second try may follow"
    assert "keyfob" not in app.blueprints


@pytest.mark.parametrize("key", [None, "", b""])
def test_a_missing_secret_key_is_named_with_its_cure(key: Any) -> None:
    app = configured()
    app.config["SECRET_KEY"] = key
    with pytest.raises(ConfigurationError, match=r"secrets\.token_hex") as caught:
        Keyfob(app)
    assert caught.value.setting == "SECRET_KEY"


def test_a_secret_key_that_became_a_number_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    app = configured()
    monkeypatch.setenv("FLASK_SECRET_KEY", "12345678901234567890")
    app.config.from_prefixed_env()
    with pytest.raises(ConfigurationError, match="from_prefixed_env") as caught:
        Keyfob(app)
    assert "1234" not in str(caught.value)


def test_fallbacks_must_be_a_list() -> None:
    app = configured()
    app.config["SECRET_KEY_FALLBACKS"] = "old key"
    with pytest.raises(ConfigurationError, match="SECRET_KEY_FALLBACKS"):
        Keyfob(app)


def test_a_new_secret_key_with_the_old_one_as_fallback_signs_nobody_out(
    provider: Provider, browser: FormBrowser, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path}/store.sqlite3"
    settings = settings_for(provider, TOKEN_STORE=store)
    old, new = "the old key" * 4, "the new key" * 4
    with running_site(settings, config={"SECRET_KEY": old}) as site:
        browser.open(f"{site.url}/private")
    keys = {"SECRET_KEY": new, "SECRET_KEY_FALLBACKS": [old]}
    with running_site(settings, config=keys) as site:
        signed_in = len(provider.requests_to("authorize"))
        assert browser.open(f"{site.url}/claims").response.json()["name"] == "Ada Keyring"
        assert browser.open(f"{site.url}/me").status == 200
        assert len(provider.requests_to("authorize")) == signed_in
        assert not site.errors


def test_settings_from_prefixed_env_may_be_decoded_json(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "CLIENT_ID": "12345",
        "CLIENT_SECRET": "67890",
        "OIDC_AUTHORITY": "http://127.0.0.1:9",
        "SCOPES": '["email"]',
        "DOWNSTREAM_APIS__orders__base_url": "https://orders.example",
        "DOWNSTREAM_APIS__orders__scopes": '["read"]',
        "LEEWAY": "30",
    }.items():
        monkeypatch.setenv(f"FLASK_KEYFOB_{name}", value)
    app = Flask("bare")
    app.secret_key = "x"
    app.config.from_prefixed_env()
    Keyfob(app)
    settings = app.extensions["keyfob"].settings
    assert settings.client_id == "12345"
    assert settings.downstream_apis["orders"].scopes == ("read",)
    assert settings.leeway == 30


def test_the_routes_can_be_elsewhere(provider: Provider, browser: FormBrowser) -> None:
    def init(app: Flask) -> None:
        Keyfob(app, url_prefix="/account/ms")

    with running_site(settings_for(provider), init=init) as site:
        page = browser.open(f"{site.url}/private")
        assert who(page) == "Hello Ada Keyring"
        assert any(hop.startswith(f"{site.url}/account/ms/callback?") for hop in page.hops)
        assert page.submit(button="Sign out").url.startswith(f"{site.url}/account/ms/logged-out")
        assert not site.errors


# What a request costs


class Counting:
    """A token store that counts."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.calls = inner, 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        self.calls += callable(found)
        return found


def counted(site: RunningSite) -> Counting:
    """The site's store, which counts from now on."""
    sealed = site.app.extensions["keyfob"].store
    sealed._store = store = Counting(sealed._store)
    return store


def test_an_untouched_page_reads_neither_session_nor_store(
    site: RunningSite, browser: FormBrowser
) -> None:
    site.app.add_url_rule("/plain", "plain", lambda: render_template_string("plain"))
    browser.open(f"{site.url}/private")
    store = counted(site)
    answer = browser.open(f"{site.url}/plain").response
    assert answer.text == "plain"
    assert "Vary" not in answer.headers
    assert "Set-Cookie" not in answer.headers
    assert store.calls == 0


def test_a_page_with_the_persons_name_reads_no_store(
    site: RunningSite, browser: FormBrowser
) -> None:
    browser.open(f"{site.url}/private")
    store = counted(site)
    page = browser.open(f"{site.url}/")
    assert who(page) == "Hello Ada Keyring"
    assert page.response.headers["Vary"] == "Cookie"
    assert "Set-Cookie" not in page.response.headers
    assert store.calls == 0


def test_a_guarded_view_asks_the_store_once_and_shares_what_the_guard_loaded(
    site: RunningSite, browser: FormBrowser, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.app.add_url_rule(
        "/shared", "shared", login_required(api="api")(lambda: current_user.claims["name"])
    )
    browser.open(f"{site.url}/me")
    # What an answer would need is not made for a view that may run.
    monkeypatch.delattr("flask_keyfob.guard.web_request")
    for path, text in (("/private", "Ada"), ("/shared", "Ada")):
        store = counted(site)
        assert text in browser.open(f"{site.url}{path}").text
        assert store.calls == 1, path


# Decorators


def guarded_app() -> Flask:
    app = configured()
    Keyfob(app)
    return app


def test_a_view_keeps_its_name_and_arguments() -> None:
    @login_required
    def view(number: int, *, word: str = "x") -> str:
        """Say a number."""
        return f"{number}{word}"

    assert (view.__name__, view.__doc__) == ("view", "Say a number.")


def test_a_guarded_view_is_not_run_for_strangers() -> None:
    app, ran = guarded_app(), []

    @app.route("/a", methods=["GET", "POST", "OPTIONS"], provide_automatic_options=False)
    @login_required
    def view() -> str:
        ran.append(request.method)
        return "seen"

    client = app.test_client()
    assert client.get("/a").location == "/auth/login?next=%2Fa"
    assert client.head("/a").status_code == 302
    assert client.post("/a").status_code == 303
    preflight = client.options("/a")
    assert (preflight.status_code, preflight.text) == (200, ""), "a preflight carries no cookies"
    assert set(preflight.headers["Allow"].split(", ")) == {"GET", "HEAD", "POST", "OPTIONS"}
    assert not ran


def test_a_view_that_handles_options_runs_for_who_is_signed_in(
    site: RunningSite, browser: FormBrowser
) -> None:
    site.app.add_url_rule(
        "/a",
        "a",
        login_required(lambda: "seen"),
        methods=["OPTIONS"],
        provide_automatic_options=False,
    )
    browser.open(f"{site.url}/private")
    assert browser.send("OPTIONS", f"{site.url}/a", []).response.text == "seen"


@pytest.mark.parametrize("kind", ["method view", "view", "blueprint"])
def test_a_preflight_runs_no_guarded_view_however_it_is_guarded(kind: str) -> None:
    app, ran = guarded_app(), []

    class Method(MethodView):
        decorators = [login_required]

        def get(self) -> str:
            return "seen"

        def options(self) -> str:
            ran.append("method view")
            return "seen"

    class Whole(View):
        decorators = [login_required]
        methods = ["GET", "OPTIONS"]
        provide_automatic_options = False

        def dispatch_request(self) -> str:
            ran.append("view")
            return "seen"

    blueprint = Blueprint("guarded", __name__)
    if kind == "blueprint":
        blueprint.before_request(login_required(lambda: None))

        @blueprint.route("/a", methods=["GET", "OPTIONS"], provide_automatic_options=False)
        def view() -> str:
            ran.append("blueprint")
            return "seen"

    else:
        each: type[View] = Method if kind == "method view" else Whole
        blueprint.add_url_rule("/a", view_func=each.as_view("a"))
    app.register_blueprint(blueprint)

    preflight = app.test_client().options("/a", headers={"Accept": "application/json"})
    assert (preflight.status_code, preflight.text) == (200, "")
    assert set(preflight.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert not ran


def test_an_async_view(provider: Provider, browser: FormBrowser) -> None:
    pytest.importorskip("asgiref", reason="flask[async] is not installed")

    def add_view(app: Flask) -> None:
        @app.get("/async")
        @login_required
        async def view() -> str:
            return f"async {current_user.name}"

    with running_site(settings_for(provider), before_init=add_view) as site:
        assert browser.open(f"{site.url}/async").text == "async Ada Keyring"


def test_a_method_view_and_a_whole_blueprint(provider: Provider, browser: FormBrowser) -> None:
    def add_views(app: Flask) -> None:
        class Orders(MethodView):
            decorators = [login_required]

            def get(self, number: int) -> str:
                return f"{number} of {current_user.name}"

        app.add_url_rule("/orders/<int:number>", view_func=Orders.as_view("orders"))
        inside = Blueprint("inside", __name__, url_prefix="/inside")
        inside.before_request(login_required(lambda: None))
        inside.add_url_rule("/", "index", lambda: f"inside {current_user.name}")
        app.register_blueprint(inside)

    with running_site(settings_for(provider), before_init=add_views) as site:
        client = site.app.test_client()
        assert client.get("/orders/7").status_code == 302
        assert client.get("/inside/").status_code == 302
        assert browser.open(f"{site.url}/orders/7").text == "7 of Ada Keyring"
        assert browser.open(f"{site.url}/inside/").text == "inside Ada Keyring"
        assert not site.errors


def test_misused_decorators_say_so_at_once() -> None:
    with pytest.raises(TypeError, match="not both"):
        login_required(api="a", scopes=["b"])
    with pytest.raises(TypeError, match=r"scopes=\['User.Read'\]"):
        login_required(scopes="User.Read")
    with pytest.raises(TypeError, match="api='graph'"):
        login_required("graph")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="decorators = "):
        login_required(type("Orders", (MethodView,), {}))


def test_an_unknown_api_is_a_loud_mistake_even_for_strangers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = guarded_app()
    app.add_url_rule("/a", "a", login_required(api="grahp")(lambda: ""))
    with caplog.at_level(logging.ERROR):
        assert get(app, "/a").status_code == 500
    assert "There is no downstream API 'grahp'" in caplog.text
    app.testing = True
    with pytest.raises(ConfigurationError, match="grahp"):
        get(app, "/a")


def test_an_error_that_leaves_a_view_becomes_a_page() -> None:
    app = guarded_app()

    @app.get("/store")
    def store() -> str:
        raise StoreUnavailable("the disk is full")

    answer = get(app, "/store")
    assert answer.status_code == 503
    assert "This site is not ready" in answer.text
    assert "disk" not in answer.text
    answer = get(app, "/store", headers={"Accept": "application/json"})
    assert answer.mimetype == "application/problem+json"
    assert answer.json
    assert answer.json["code"] == "store_unavailable"


def test_a_site_may_answer_an_error_in_its_own_way() -> None:
    app = guarded_app()

    @app.errorhandler(InteractionRequired)
    def sign_in_first(error: InteractionRequired) -> tuple[str, int]:
        return f"please sign in: {error.code}", 401

    @app.get("/b")
    def token() -> str:
        return g.keyfob.token(scopes=["a"])  # type: ignore[no-any-return]

    assert get(app, "/b").text == "please sign in: not_signed_in"


# Other extensions


class FakeProtection:
    """Flask-WTF's CSRFProtect, as far as its public behaviour goes."""

    def __init__(self) -> None:
        self.exempted: set[str] = set()

    def exempt(self, view: Blueprint) -> Blueprint:
        self.exempted.add(view.name)
        return view

    def init_app(self, app: Flask) -> None:
        app.extensions["csrf"] = self

        @app.before_request
        def protect() -> Any:
            if request.method == "POST" and request.blueprint not in self.exempted:
                return "The CSRF token is missing.", 400
            return None


@pytest.mark.parametrize("keyfob_first", [True, False])
def test_our_routes_are_exempt_from_flask_wtf_and_others_are_not(keyfob_first: bool) -> None:
    app, protection = configured(), FakeProtection()
    steps = [Keyfob().init_app, protection.init_app]
    for step in steps if keyfob_first else reversed(steps):
        step(app)
    app.add_url_rule("/form", "form", lambda: "", methods=["POST"])
    client = app.test_client()
    assert client.post("/auth/callback", data={"state": "x"}).status_code == 303
    assert client.post("/form").status_code == 400


def test_code_that_runs_before_our_own_hook_may_ask_who_is_there() -> None:
    app = configured()

    @app.before_request
    def note() -> None:
        session["seen"] = current_user.is_authenticated

    Keyfob(app)
    app.add_url_rule("/", "home", lambda: str(session["seen"]))
    assert get(app, "/").text == "False"


def test_a_store_of_another_kind_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="TOKEN_STORE"):
        Keyfob(configured(TOKEN_STORE="mongodb://here"))
