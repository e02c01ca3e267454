"""One item after the other."""

from common import items, label

for item in items():
    label(item)
