"""What a job costs at list prices (bench/prices.json), and what the model alone would cost."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from local import settings

FILE: Final = settings.ROOT / "bench" / "prices.json"
# Memory of Plan and infer, as deployed (infra/lib/constructs/rust-function.ts); the others have less.
WORKERS_GB: Final = 1_769 / 1_024


@dataclass(frozen=True)
class Prices:
    """In dollars, each for one."""

    date: str
    region: str
    gpu: str
    gpu_hour: float
    dynamodb_write_unit: float
    dynamodb_read_unit: float
    lambda_gb_second: float
    lambda_request: float
    state_transition: float
    s3_put: float
    s3_get: float
    sqs_request: float

    @classmethod
    def listed(cls) -> "Prices":
        """Those of the file."""
        listed = json.loads(FILE.read_text())
        return cls(**{name: listed[name] for name in cls.__dataclass_fields__})

    def as_dict(self) -> dict[str, Any]:
        """For the results."""
        return asdict(self)

    def of_job(self, direct: dict[str, Any], system: dict[str, Any]) -> dict[str, float]:
        """What a job costs by service: the counts of the system run, `infer`'s time and reads of the direct one."""
        infer_seconds = direct["billed_ms"] / 1_000
        reads = sum(cost["read_units"] for cost in direct["dynamodb"].values())
        # Beside infer's own calls of S3: the model reads each picture by a URL that we have signed, and Plan writes the
        # manifest. A delivery is sent, received and deleted.
        return {
            "dynamodb": system["write_units"] * self.dynamodb_write_unit + reads * self.dynamodb_read_unit,
            "lambda": (infer_seconds + system["other_seconds"]) * WORKERS_GB * self.lambda_gb_second
            + system["invocations"] * self.lambda_request,
            "step_functions": system["transitions"] * self.state_transition,
            "s3": (direct["s3_puts"] + 1) * self.s3_put + (direct["s3_gets"] + direct["items"]) * self.s3_get,
            "sqs": 3 * self.sqs_request,
        }

    def of_model(self, items: int, latency_ms: int) -> float:
        """What the GPUs cost if they never wait: however many there are, each item takes one of them for so long."""
        return items * latency_ms / 1_000 / 3_600 * self.gpu_hour
