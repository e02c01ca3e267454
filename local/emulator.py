"""The emulator's process: patches and meter first, then its own main function."""

import sys
from typing import Any

from local import settings

KEEP_ALIVE_SECONDS = 75  # as the emulator's own server has it
# `down` waits for it; a long poll of a queue may be under way.
STOP_SECONDS = 1


def environment() -> dict[str, str]:
    """The emulator's environment, which every Lambda process inherits.

    That is how the functions find the emulator and the model endpoint while the template stays as it is on AWS: the
    two endpoint variables are the emulator's own, not the functions'.
    """
    scratch = settings.STATE / "tmp"
    return settings.aws_environment() | {
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "localhost",
        "GATEWAY_PORT": str(settings.EMULATOR_PORT),
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": settings.ENDPOINT_URL,
        "SFN_WAIT_SCALE": str(settings.RETRY_SCALE),
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "S3_DATA_DIR": str(settings.STATE / "s3"),
        "STATE_DIR": str(settings.STATE / "emulator"),
        "TMPDIR": str(scratch),
    }


def run() -> None:
    """Serves until it is stopped. The environment is already `environment()`."""
    # Only this process may load the emulator: importing it reads the environment and starts its services.
    from ministack import app

    from local import emulator_patches, meter

    emulator_patches.apply()
    meter.install(settings.DYNAMODB_CALLS_FILE)
    serve_in_c()
    sys.argv = ["ministack"]  # it reads the command line itself
    app.main()


def serve_in_c() -> None:
    """HTTP is parsed, and the sockets are served, by code that is compiled.

    The emulator's own server, Hypercorn, is Python down to the bytes. A call of the table takes it more than twice the
    processor time (decision 0036).
    """
    # Imported here: only the emulator's process needs them.
    import hypercorn.asyncio
    import uvicorn
    import uvloop

    async def serve(app: Any, config: Any) -> None:
        host, port = config.bind[0].rsplit(":", 1)
        config_of_server = uvicorn.Config(
            app,
            host=host,
            port=int(port),
            http="httptools",
            ws="none",
            lifespan="on",
            proxy_headers=False,  # who calls is who connects
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,  # the emulator has its own
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        await uvicorn.Server(config_of_server).serve()

    uvloop.install()
    hypercorn.asyncio.serve = serve  # type: ignore[assignment]
