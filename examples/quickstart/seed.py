import httpx
import time

# Start a batch auto-label job
resp = httpx.post(
    "https://api.avala.ai/api/v1/projects/proj_abc123/auto-label/",
    headers={"X-Avala-Api-Key": "avk_..."},
    json={
        "model_type": "yolo",
        "confidence_threshold": 0.6,
        "dry_run": False,
    },
)
job = resp.json()
print(f"Job started: {job['uid']}")

# Poll for progress
while job["status"] in ("pending", "running"):
    time.sleep(5)
    resp = httpx.get(
        f"https://api.avala.ai/api/v1/auto-label-jobs/{job['uid']}/",
        headers={"X-Avala-Api-Key": "avk_..."},
    )
    job = resp.json()
    print(f"Progress: {job['progress_pct']}% ({job['processed_items']}/{job['total_items']})")

print(f"Done! {job['successful_items']} items labeled, {job['skipped_items']} skipped")
