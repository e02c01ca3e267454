"""A thread pool; each thread asks, puts what came of it and counts it, item by item."""

from concurrent.futures import ThreadPoolExecutor

from common import SLOTS, items, label

with ThreadPoolExecutor(SLOTS) as pool:
    list(pool.map(label, items()))
