"""Sizes and kinds of files by our reader, beside what independent readers say of them; and of files cut anywhere."""

import json
import random
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.heads import readers
from tests.heads.corpus import CorpusFile, corpus

READER = Path("target/x86_64-unknown-linux-gnu/debug/examples/heads")
AT_LEAST = 200
RANGES, BYTES = 16, 512 * 1024
FIRST_RANGE = 64 * 1024

Answer = dict[str, Any]
Corpus = dict[Path, CorpusFile]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("heads")
    files: Corpus = {}
    for number, file in enumerate(corpus(folder)):
        path = folder / f"{number:03}-{file.name}"
        path.write_bytes(file.content)
        files[path] = file
    return files


def answers(asked: Iterable[tuple[Path, int | None]]) -> Iterator[Answer]:
    lines = "".join(json.dumps({"path": str(path), "length": length}) + "\n" for path, length in asked)
    done = subprocess.run([READER], input=lines, capture_output=True, text=True, check=True)
    return map(json.loads, done.stdout.splitlines())


def whole(made: Corpus) -> dict[Path, Answer]:
    return dict(zip(made, answers((path, None) for path in made), strict=True))


def test_every_file_is_what_its_writer_says(made: Corpus) -> None:
    assert len(made) >= AT_LEAST
    print(f"{len(made)} files: {dict(Counter(file.kind for file in made.values()))}")
    wrong = {path.name: answer for path, answer in whole(made).items() if answer["content"]["is"] != made[path].kind}
    assert not wrong


def test_every_size_is_that_of_the_independent_readers(made: Corpus) -> None:
    compared, wrong = Counter[str](), []
    for path, answer in whole(made).items():
        if made[path].kind != "picture":
            continue
        reported, ours = readers.of_picture(path), answer["content"]
        sizes = [(one.reader, form, getattr(one, form)) for one in reported for form in ("stored", "upright")]
        sizes = [(reader, form, size) for reader, form, size in sizes if size]
        compared.update(reader for reader, _, _ in sizes)
        wrong += [(path.name, reader, form, size, ours) for reader, form, size in sizes if list(size) != ours[form]]
        if not sizes:
            wrong.append((path.name, "none of them", "opens it", None, ours))
    print(f"sizes compared: {dict(compared)}")
    assert not wrong


def test_every_point_cloud_is_opened_by_its_own_reader(made: Corpus) -> None:
    clouds = [path for path, file in made.items() if file.kind == "point_cloud"]
    assert [path.name for path in clouds if not readers.is_opened(path)] == []


def test_ordinary_files_take_one_range_and_none_takes_more_than_its_bounds(made: Corpus) -> None:
    taken = whole(made)
    print("ranges of files beyond the first range:", sorted(a["ranges"] for p, a in taken.items() if a["ranges"] > 1))
    for path, answer in taken.items():
        assert answer["ranges"] <= RANGES and answer["bytes"] <= BYTES, path.name
        assert answer["ranges"] == 1 or len(made[path].content) > FIRST_RANGE, path.name


def test_a_file_cut_anywhere_says_its_size_or_a_reason(made: Corpus) -> None:
    known = {path: answer["content"] for path, answer in whole(made).items()}
    asked = [(path, length) for path, file in made.items() for length in cuts(len(file.content))]
    wrong, cut = [], Counter[str]()
    for (path, length), answer in zip(asked, answers(asked), strict=True):
        content = answer["content"]
        is_right = content.get("stored") == known[path].get("stored") if content.get("stored") else bool(answer["why"])
        cut["size" if content.get("stored") else "reason"] += 1
        if not is_right and not (content["is"] == known[path]["is"] == "point_cloud"):
            wrong.append((path.name, length, answer))
    print(f"{len(asked)} cuts: {dict(cut)}")
    assert not wrong[:5]


def cuts(length: int) -> list[int]:
    """Every byte of the beginning, now and then one, around what ranges end at, and at the end."""
    chosen = {*range(0, 200), *range(200, 1_500, 13), *range(length - 20, length)}
    chosen.update(at for border in range(65_536, length, 65_537) for at in range(border - 4, border + 5))
    chosen.update(random.Random(length).choices(range(length), k=60))
    return sorted(at for at in chosen if 0 <= at < length)
