"""python -m orders_api: serve the demo's web API on loopback, at ORDERS_PORT (5001)."""

import os

from werkzeug.serving import make_server

from orders_api import create_app

server = make_server(
    "127.0.0.1", int(os.environ.get("ORDERS_PORT", "5001")), create_app(), threaded=True
)
server.serve_forever()
