"""The emulator's process: patches and meter first, then its own main function."""

import sys

from local import settings


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
    sys.argv = ["ministack"]  # it reads the command line itself
    app.main()
