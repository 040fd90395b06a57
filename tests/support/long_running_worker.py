"""A task queue's worker: another process, which shares the site's store and its keys. It is given
its task on standard input, and prints what came of it."""

from __future__ import annotations

import json
import sys

from keyfob.errors import InteractionRequired
from keyfob.web import WebApplication, load_settings
from keyfob.web.stores import SQLiteStore


def main() -> None:
    task = json.load(sys.stdin)
    settings = load_settings(task["settings"], {}, source="flask")
    store = SQLiteStore(task["store"])
    site = WebApplication(settings, store=store, secrets=[task["secret"]])
    work = site.long_running(task["key"])
    print("ready", flush=True)
    try:
        result = {"id": work.api("api").get("/me").json()["id"], "token": work.token(api="api")}
    except InteractionRequired as error:
        result = {"error": error.code}
    print(json.dumps(result))
    site.close()


if __name__ == "__main__":
    main()
