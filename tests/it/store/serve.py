"""Serves one of two DynamoDB implementations on a free loopback port, prints the port, and ends with its parent.

The parent holds the other end of standard input. However it ends, the pipe closes, and so does this process.
"""

import copy
import os
import socket
import sys
import threading
import types
from pathlib import Path


def end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


def announce(port: int) -> None:
    print(port, flush=True)
    os.dup2(2, 1)  # whatever the server prints is for the log


def serve_ministack(folder: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    os.environ.clear()
    os.environ.update(own)
    os.environ.update(
        BIND_HOST="127.0.0.1",
        GATEWAY_PORT=str(port),
        SFTP_ENABLED="0",
        IOT_MTLS_ENABLED="0",
        S3_DATA_DIR=str(folder / "s3"),
        STATE_DIR=str(folder / "state"),
        TMPDIR=str(folder),
        LOG_LEVEL="WARNING",
    )
    from ministack import app  # importing it reads the environment

    # As the local stack runs it, only quicker; its behaviour is its own.
    sys.path.insert(0, str(Path(__file__).parents[3]))
    from local import emulator, emulator_patches

    emulator_patches.read_expressions_once()
    emulator.serve_in_c()
    sys.argv = ["ministack"]  # it reads the command line itself
    announce(port)
    app.main()


def serve_moto() -> None:
    from moto.moto_server.werkzeug_app import create_backend_app
    from werkzeug.serving import make_server

    copy_tables_once()
    # One request at a time: moto takes no locks, so two transactions on two threads would not be isolated.
    server = make_server("127.0.0.1", 0, create_backend_app("dynamodb"), threaded=False)
    announce(server.server_port)
    server.serve_forever()


def copy_tables_once() -> None:
    """A transaction copies its table once, to restore it if it is refused. Moto copies it for each item."""
    from moto.dynamodb import models

    transact, copies = models.DynamoDBBackend.transact_write_items, {}

    def copied(value):
        if not isinstance(value, models.Table):
            return copy.deepcopy(value)
        if value.name not in copies:
            copies[value.name] = copy.deepcopy(value)
        return copies[value.name]

    def transacted(self, items):
        copies.clear()
        return transact(self, items)

    models.copy = types.SimpleNamespace(deepcopy=copied)
    models.DynamoDBBackend.transact_write_items = transacted


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    name, scratch = sys.argv[1], Path(sys.argv[2])
    scratch.mkdir(parents=True, exist_ok=True)
    if name == "ministack":
        serve_ministack(scratch)
    else:
        serve_moto()
