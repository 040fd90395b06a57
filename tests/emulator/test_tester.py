"""`python -m keyfob`, the real process, against the local identity provider: every flow."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from keyfob.tester import main
from keyfob.tester.demo import API_SCOPE, PASSWORD, SAMPLES, USER
from keyfob_emulator import EmulatorServer, Lifetimes, Source, sample_directory
from keyfob_emulator import sample as emulators
from support.form_browser import FormBrowser, Page
from support.tester import PATIENCE, RunningTester

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals and modes")
TESTS = Path(__file__).resolve().parents[1]
Start = Callable[..., RunningTester]


@pytest.fixture(scope="module")
def server() -> Iterator[EmulatorServer]:
    with EmulatorServer() as running:
        running.emulator.lifetimes = Lifetimes(device_interval=1)
        for sample in SAMPLES[:2]:
            running.emulator.give_consent(
                USER, sample.client_id, ["openid", "profile", "offline_access", "User.Read"]
            )
        yield running


@pytest.fixture
def start(server: EmulatorServer, tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def begin(
            *flags: str, demo: str = server.url, environment: dict[str, str] | None = None
        ) -> RunningTester:
            made = RunningTester(tmp_path, demo, *flags, environment=environment)
            return stack.enter_context(made)

        yield begin


def through_the_pages(page: Page) -> Page:
    """Sign in as a person would, to the end."""
    for _ in range(8):
        if page.headings == ["Pick an account"]:
            page = page.submit(button=USER)
        elif page.headings == ["Enter the password"]:
            page = page.submit(password=PASSWORD)
        elif page.headings == ["Permissions requested"]:
            page = page.submit(button="Accept")
        elif page.headings == ["One moment"]:
            page = page.submit()
        else:
            return page
    raise AssertionError(f"no end: {page!r}")


def a_browser(folder: Path) -> str:
    """A program for BROWSER that follows the pages by itself."""
    program = folder / "browser.py"
    program.write_text(
        f"import sys\nsys.path[:0] = [{str(TESTS)!r}, {str(TESTS / 'emulator')!r}]\n"
        "from support.form_browser import FormBrowser\n"
        "from test_tester import through_the_pages\n"
        "with FormBrowser() as browser:\n"
        "    through_the_pages(browser.open(sys.argv[1]))\n"
    )
    return f"{sys.executable} {program} %s"


def signed_in(tester: RunningTester, scopes: str = "") -> None:
    """By password: the quickest way to an account."""
    tester.at_menu()
    tester.say("password", scopes, "", "")
    tester.expect("Here is a token for Ada Keyring (ada@contoso.example).")
    tester.at_menu()


def test_what_it_knows_of_the_local_provider_is_true() -> None:
    directory = sample_directory()
    known = {application.client_id: application for application in directory.applications}
    for sample in SAMPLES:
        application = known[sample.client_id]
        assert application.name == sample.name
        assert ([sample.secret] if sample.secret else []) == list(application.secrets[:1])
    assert emulators.PASSWORD == PASSWORD
    assert USER in {account.username for account in directory.accounts}


def test_the_page_about_it_has_its_menus_as_they_are(start: Start) -> None:
    page = (TESTS.parent / "docs" / "tester.md").read_text(encoding="utf-8")
    tester = start(demo="http://127.0.0.1:9", environment={"KEYFOB_CLIENT_ID": "x"})
    menu = tester.at_menu().splitlines()
    shown = [line for line in menu if line.startswith("  ") and line.strip()[0].isdigit()]
    assert len(shown) > 10
    for line in shown:
        assert line in page
    for sample in SAMPLES:
        assert f"{sample.word:<8} {sample.name} ({sample.good_for})" in page


def test_what_the_page_gives_a_script_to_do_works(server: EmulatorServer) -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("KEYFOB_")}
    done = subprocess.run(
        [sys.executable, "-m", "keyfob", "--client-id", SAMPLES[3].client_id],
        env={**clean, "KEYFOB_AUTHORITY": server.authority("contoso.example"),
             "KEYFOB_CLIENT_SECRET": SAMPLES[3].secret, "PYTHONIOENCODING": "utf-8"},
        input="client\napi://orders/.default\n",
        capture_output=True, encoding="utf-8", timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Here is a token for the application itself." in done.stdout


def test_out_of_the_box_it_finds_the_local_provider_and_gets_a_token(start: Start) -> None:
    tester = start()
    assert "The local identity provider answers" in tester.expect("Which application")
    tester.say("1")
    menu = tester.at_menu()
    assert "Desktop tool, public client" in menu
    assert "in the application's own name" not in menu.lower()
    tester.say("password", "User.Read", "", "")

    shown = tester.at_menu()

    assert "Here is a token for Ada Keyring" in shown
    assert "the identity provider" in shown
    assert "in 59 min" in shown or "in 60 min" in shown
    assert tester.quit() == 0
    tester.assert_kept_secret()
    assert "DEBUG keyfob.transport" in tester.errors


def test_without_a_local_provider_it_says_in_one_line_how_to_start_one(start: Start) -> None:
    tester = start(demo="http://127.0.0.1:9")
    assert "python -m keyfob_emulator\n" in tester.expect("Which application")
    tester.say("again")
    assert "python -m keyfob_emulator" in tester.expect("Which application")
    tester.say("0")
    assert tester.end() == 0


def test_the_browser_signs_in(start: Start, tmp_path: Path) -> None:
    tester = start(
        "--client-id", SAMPLES[0].client_id, environment={"BROWSER": a_browser(tmp_path)}
    )
    tester.at_menu()
    tester.say("browser", "User.Read", USER, "")
    tester.expect("Your browser opens a page")
    tester.expect("Here is a token for Ada Keyring")
    tester.at_menu()
    tester.say("claims", "userinfo", "me")
    assert "ties it to the attempt" in tester.at_menu()
    assert '"sub":' in tester.at_menu()
    assert '"displayName": "Ada Keyring"' in tester.at_menu()
    assert tester.quit() == 0
    tester.assert_kept_secret()


def test_another_device_signs_in(start: Start, server: EmulatorServer) -> None:
    tester = start("--client-id", SAMPLES[0].client_id)
    tester.at_menu()
    tester.say("device", "User.Read")
    shown = tester.expect("Ctrl-C gives up")
    user_code = shown.partition("  Code ")[2].split()[0]
    server.emulator.approve_device(user_code, USER)
    tester.expect("Here is a token for Ada Keyring")
    assert tester.quit() == 0
    tester.assert_kept_secret()


def test_a_declined_device_is_told_and_the_exit_status_too(
    start: Start, server: EmulatorServer
) -> None:
    tester = start("--client-id", SAMPLES[0].client_id)
    tester.at_menu()
    tester.say("device", "User.Read")
    shown = tester.expect("Ctrl-C gives up")
    user_code = shown.partition("  Code ")[2].split()[0]
    server.emulator.decline_device(user_code)
    tester.expect("No token: the person declined.")
    assert tester.quit() == 1


def test_a_code_is_brought_back_by_hand(start: Start) -> None:
    tester = start("--client-id", SAMPLES[1].client_id)
    tester.at_menu()
    tester.say("code", "User.Read", "")
    address = tester.expect("2. The browser then goes").split("sign in:")[1].split()[0]
    with FormBrowser(stop_at=("http://localhost:5000",)) as browser:
        page = through_the_pages(browser.open(address))
    tester.say(page.url)
    tester.expect("Here is a token for Ada Keyring")
    tester.at_menu()
    assert tester.quit() == 0
    code = page.url.partition("code=")[2].partition("&")[0]
    tester.assert_kept_secret(code, SAMPLES[1].secret)


def test_what_is_no_answer_is_said_to_be_none(start: Start) -> None:
    tester = start("--client-id", SAMPLES[1].client_id)
    tester.at_menu()
    tester.say("code", "User.Read", "", "http://localhost:5000/auth/callback")
    tester.expect("That is no address with an answer in it.")
    assert tester.quit() == 1


def test_silently_from_the_cache_then_by_refreshing_then_by_the_refresh_token(
    start: Start,
) -> None:
    tester = start("--client-id", SAMPLES[0].client_id)
    signed_in(tester)
    tester.say("silent", "", "")
    assert "the cache; nothing was sent" in tester.at_menu()
    tester.say("silent", "", "y")
    assert "the identity provider" in tester.at_menu()
    tester.say("refresh", "", "")
    assert "Here is a token for Ada Keyring" in tester.at_menu()
    refresh_token = next(token for token in tester.tokens() if token.startswith("1."))
    tester.say("refresh", refresh_token, "")
    assert "Here is a token for Ada Keyring" in tester.at_menu()
    assert tester.quit() == 0
    tester.assert_kept_secret(refresh_token)


def test_an_application_gets_its_own_token_and_forgets_it(start: Start) -> None:
    job = SAMPLES[3]
    tester = start(environment={"KEYFOB_CLIENT_ID": job.client_id})
    tester.at_menu()
    tester.say("client", "api://orders/.default", "cache")
    assert "Here is a token for the application itself." in tester.at_menu()
    assert "(the application)" in tester.at_menu()
    tester.say("drop", "cache")
    tester.at_menu()
    assert "The cache is empty" in tester.at_menu()
    assert tester.quit() == 0
    assert tester.tokens() == []
    tester.assert_kept_secret(job.secret)


def test_an_api_acts_on_behalf_of_who_signed_in_a_moment_ago(
    start: Start, server: EmulatorServer
) -> None:
    server.emulator.give_consent(
        USER, SAMPLES[0].client_id, ["openid", "profile", "offline_access", API_SCOPE]
    )
    tester = start("--client-id", SAMPLES[0].client_id)
    signed_in(tester, API_SCOPE)
    tester.say("app", "api")
    tester.at_menu()
    for source in ("the identity provider", "the cache; nothing was sent"):
        tester.say("obo", "", "")
        assert source in tester.at_menu()
    tester.say("me")
    assert '"userPrincipalName": "ada@contoso.example"' in tester.at_menu()
    assert tester.quit() == 0
    tester.assert_kept_secret()


def test_on_behalf_of_nobody_it_says_where_a_token_comes_from(start: Start) -> None:
    tester = start("--client-id", SAMPLES[2].client_id)
    tester.at_menu()
    tester.say("obo", "")
    tester.expect("There is no token yet.")
    assert tester.quit() == 1


def test_a_machine_gets_its_token_without_an_application(
    start: Start, server: EmulatorServer
) -> None:
    with server.environment(Source.APP_SERVICE).active():
        tester = start()
        tester.expect("Which application")
        tester.say("none")
        menu = tester.at_menu()
        assert "device" not in menu
        tester.say("machine", "", "https://vault.azure.net")
        shown = tester.at_menu()
    assert "Azure App Service" in shown
    assert "Here is a token for the managed identity." in shown
    assert tester.quit() == 0
    tester.assert_kept_secret()


def test_an_account_is_listed_and_removed_with_its_tokens(start: Start) -> None:
    tester = start("--client-id", SAMPLES[0].client_id)
    signed_in(tester)
    tester.say("accounts", "forget", "n", "forget", "y", "accounts", "me")
    assert USER in tester.at_menu()
    assert "are out of the cache" not in tester.at_menu()
    assert "are out of the cache" in tester.at_menu()
    assert "Nobody" in tester.at_menu()
    assert "There is no token yet" in tester.at_menu()
    assert tester.quit() == 0
    assert tester.tokens() == []


def test_of_several_accounts_one_is_chosen(start: Start, server: EmulatorServer) -> None:
    other = "alan@contoso.example"
    server.emulator.give_consent(
        other, SAMPLES[0].client_id, ["openid", "profile", "offline_access", "User.Read"]
    )
    tester = start("--client-id", SAMPLES[0].client_id)
    signed_in(tester)
    tester.say("password", "", other, "")
    tester.expect("Here is a token for Alan Latch")
    tester.at_menu()
    tester.say("silent", "alan", "", "", "silent", "0")
    assert f"Here is a token for {other}." in tester.at_menu()
    assert "Here is a token" not in tester.at_menu()
    assert tester.quit() == 0


def test_odd_characters_are_an_answer_like_others(start: Start) -> None:
    tester = start("--client-id", SAMPLES[0].client_id, environment={"PYTHONUTF8": "1"})
    tester.at_menu()
    assert tester.process.stdin is not None
    tester.process.stdin.reconfigure(errors="surrogateescape")
    for typed in ("\x1b[2J", "\u202e", "x" * 5000, "\udcff"):
        tester.say(typed, "password", typed, "", "")
        assert "Please type a number" in tester.at_menu()
        assert "Here is a token" not in tester.at_menu()
    assert tester.end() == 1
    assert "Traceback" not in tester.errors
    assert "\x1b" not in tester.written


def test_the_cache_file_serves_the_next_run(start: Start) -> None:
    first = start("--client-id", SAMPLES[0].client_id)
    signed_in(first)
    assert first.quit() == 0
    if os.name == "posix":
        assert stat.S_IMODE(first.cache_file.stat().st_mode) == 0o600

    second = start("--client-id", SAMPLES[0].client_id)
    assert "1 account, 1 access token, 1 refresh token, 1 ID token" in second.at_menu()
    second.say("silent", "User.Read", "", "claims", "")
    assert "the cache; nothing was sent" in second.at_menu()
    assert "it was checked when it came" in second.at_menu()
    assert second.quit() == 0
    second.assert_kept_secret()


def test_a_damaged_cache_file_is_left_alone_with_status_1(start: Start, tmp_path: Path) -> None:
    (tmp_path / "cache.json").write_text('{"AccessToken": ')
    tester = start("--client-id", SAMPLES[0].client_id)
    assert tester.process.wait(PATIENCE) == 1
    assert "was not touched" in tester.errors
    assert "Traceback" not in tester.errors
    assert (tmp_path / "cache.json").read_text() == '{"AccessToken": '


def test_a_failure_is_a_sentence_and_the_menu_comes_back(start: Start) -> None:
    tester = start("--client-id", SAMPLES[0].client_id)
    tester.at_menu()
    for typed, sentence in (
        (("password", "User.Read", USER, "wrong-password-typed"), "user name or the password"),
        (("password", "User.Read", "nobody@contoso.example", "x"), "no such user"),
        (("silent",), "sign somebody in first"),
        (("refresh", "not-a-refresh-token", ""), "No token:"),
        (("password", "a b/c d/e", "", ""), "No token"),
    ):
        tester.say(*typed)
        assert sentence in tester.at_menu()
    assert tester.quit() == 1
    assert "Traceback" not in tester.written + tester.errors
    assert "wrong-password" not in tester.written + tester.errors


def test_a_missing_secret_is_asked_for_once_and_a_wrong_one_explained(start: Start) -> None:
    tester = start("--client-id", SAMPLES[3].client_id, "--confidential")
    tester.at_menu()
    tester.say("client", "not-the-right-secret", "", "client", "")
    shown = tester.at_menu()
    assert "client secret" in shown
    assert "No token: the client secret is wrong." in shown
    assert "not shown" not in tester.at_menu()
    assert tester.quit() == 1
    tester.assert_kept_secret("not-the-right-secret")


def test_an_entry_for_the_other_kind_of_client_says_so(start: Start) -> None:
    tester = start("--client-id", SAMPLES[1].client_id)
    tester.at_menu()
    tester.say("device", "99", "nonsense")
    assert "device needs a public client" in tester.at_menu()
    assert "Please type a number" in tester.at_menu()
    assert "Please type a number" in tester.at_menu()
    assert tester.quit() == 0


def test_an_application_of_ones_own_at_any_provider(start: Start, server: EmulatorServer) -> None:
    tester = start()
    tester.expect("Which application")
    tester.say("own", SAMPLES[3].client_id, server.authority("contoso.example"), "n", "y")
    tester.say(SAMPLES[3].secret)
    tester.at_menu()
    tester.say("client", "api://orders/.default")
    tester.expect("Here is a token for the application itself.")
    assert tester.quit() == 0
    tester.assert_kept_secret(SAMPLES[3].secret)


def test_the_end_of_input_leaves_and_in_the_middle_fails(start: Start) -> None:
    at_menu = start("--client-id", SAMPLES[0].client_id)
    at_menu.at_menu()
    assert at_menu.end() == 0

    middle = start("--client-id", SAMPLES[0].client_id)
    middle.at_menu()
    middle.say("password", "User.Read")
    assert middle.end() == 1
    assert "The input ended in the middle." in middle.written


@POSIX
def test_ctrl_c_leads_back_to_the_menu_and_from_there_out(start: Start) -> None:
    tester = start("--client-id", SAMPLES[0].client_id)
    tester.at_menu()
    tester.say("device", "User.Read")
    tester.expect("Ctrl-C gives up")
    tester.interrupt()
    tester.expect("Stopped.")
    tester.at_menu()
    tester.say("password", "User.Read", "", "")
    tester.expect("Here is a token for Ada Keyring")
    tester.at_menu()
    assert tester.interrupted() == 130
    assert "Traceback" not in tester.errors


@pytest.mark.parametrize(
    ("flags", "environment", "said"),
    [
        (["--tenant-id", "no tenant"], {}, "TENANT_ID"),
        (["--client-id", "x", "--authority", "http://login.example/t"], {}, "AUTHORITY"),
        ([], {"KEYFOB_AUTHORITY": "https://a.example/t", "KEYFOB_TENANT_ID": "t"}, "are both set"),
    ],
)
def test_wrong_usage_is_one_sentence_and_status_2(
    flags: list[str], environment: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(flags, environ=environment) == 2
    written = capsys.readouterr()
    assert said in written.err
    assert written.out == ""


def test_a_wrong_flag_ends_the_module_with_status_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "keyfob", "--wrong"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "usage: python -m keyfob" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_module_runs_and_nothing_is_coloured_in_a_pipe(server: EmulatorServer) -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("KEYFOB_")}
    done = subprocess.run(
        [sys.executable, "-m", "keyfob"],
        env={
            **clean,
            "KEYFOB_CLIENT_ID": SAMPLES[0].client_id,
            "KEYFOB_AUTHORITY": server.authority("organizations"),
            "PYTHONIOENCODING": "utf-8",
        },
        input=f"password\nUser.Read\n{USER}\n{PASSWORD}\n",
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Here is a token for Ada Keyring" in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stderr == ""
    assert all(len(line) <= 80 for line in done.stdout.splitlines() if "?" not in line)


@POSIX
@pytest.mark.parametrize("no_colour", ["", "1"])
def test_in_a_terminal_there_is_colour_unless_somebody_minds_and_a_password_is_not_shown(
    server: EmulatorServer, no_colour: str
) -> None:
    import pty

    clean = {k: v for k, v in os.environ.items() if not k.startswith("KEYFOB_")}
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal, os.fdopen(ours, "rb", buffering=0) as screen:
        process = subprocess.Popen(
            [sys.executable, "-m", "keyfob", "--client-id", SAMPLES[0].client_id,
             "--authority", server.authority("organizations")],
            env={**clean, "NO_COLOR": no_colour, "TERM": "xterm", "PYTHONIOENCODING": "utf-8"},
            stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
        )  # fmt: skip
        seen = ""

        def answer(question: str, line: str) -> None:
            nonlocal seen
            start = len(seen)
            while question not in seen[start:]:
                seen += screen.read(1000).decode()
            os.write(ours, line.encode() + b"\n")

        answer("What next?", "password")
        answer("Scopes", "User.Read")
        answer("User name", USER)
        answer("Password", "wrong-password-typed")
        answer("What next?", "quit")
        status = process.wait(PATIENCE)
    assert status == 1
    assert "wrong-password" not in seen
    assert ("\x1b[" in seen) is not bool(no_colour)
    assert json.dumps(USER).strip('"') in seen
