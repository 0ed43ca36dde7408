"""Fixtures shared by several rooms."""

import copy
import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

# One process tests per core: threads of the numerical libraries would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import pytest

from saliency_stats.cohort.patch import Patch
from saliency_stats.fetching.transfer import Retries


class ArrayCohort:
    """Patches held in memory, alternately benign and malignant, the malignant ones darker."""

    kind = "patches"

    def __init__(self, shapes: list[tuple[int, int]], seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        n = len(shapes)
        self.digests: dict[str, str] = {}
        self.table = pd.DataFrame(
            {
                "patch_id": [f"p{index}" for index in range(n)],
                "slide_id": [f"s{index // 4}" for index in range(n)],
                "patient_id": "",
                "label": ["benign", "malignant"] * (n // 2) + ["benign"] * (n % 2),
                "split": "train",
                "magnification": 20.0,
                "mpp": 0.5,
                "x_um": np.nan,
                "y_um": np.nan,
                "source": "memory",
                "status": "used",
                "height_px": [shape[0] for shape in shapes],
                "width_px": [shape[1] for shape in shapes],
            }
        )
        self._images = [
            rng.integers(0, 255 - 120 * (index % 2), (*shape, 3), dtype=np.uint8) for index, shape in enumerate(shapes)
        ]

    @property
    def files(self) -> dict[str, Path]:
        return {}

    def read(self, row: int) -> Patch:
        return Patch(self._images[row])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with whole studies, the longest: a core that has nothing else left would wait for them."""
    items.sort(key=lambda item: "study" not in item.path.parts)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, loudly, what Windows lacks; to make a symbolic link is a right there that few users have."""
    for mark in item.iter_markers("posix"):
        if sys.platform == "win32":
            pytest.skip(f"NOT TESTED: needs {mark.args[0]}, and this is Windows")


@pytest.fixture
def cohort_of() -> Callable[[list[tuple[int, int]]], ArrayCohort]:
    return ArrayCohort


#: Layers of the four blocks, of other depths so that weights of one do not fit another.
SMALL = {"densenet121": (1, 1, 1, 1), "densenet169": (1, 1, 1, 2), "densenet201": (1, 1, 2, 2)}


@pytest.fixture(scope="module")
def small_densenets() -> Iterator[None]:
    """Under torchvision's names, its own code with few and narrow layers: quick to build and to run."""
    from torchvision import models  # noqa: PLC0415  (most tests need no torch)

    def builder(blocks: tuple[int, ...]) -> Callable[..., models.DenseNet]:
        def build(weights: None = None, num_classes: int = 1000) -> models.DenseNet:
            assert weights is None
            return models.DenseNet(4, blocks, num_init_features=8, bn_size=2, num_classes=num_classes)

        return build

    with pytest.MonkeyPatch.context() as patch:
        for name, blocks in SMALL.items():
            patch.setattr(models, name, builder(blocks))
        yield


@pytest.fixture(scope="session")
def tiny_networks() -> Iterator[Callable[[str], str]]:
    """Tiny networks of torchvision's own code, as factories of a user's module; gives what a study file calls one."""
    import torch  # noqa: PLC0415  (most tests need no torch)
    from torchvision import models, ops  # noqa: PLC0415
    from torchvision.models.efficientnet import FusedMBConvConfig, MBConvConfig  # noqa: PLC0415

    made: dict[str, Callable[[], torch.nn.Module]] = {
        "resnet": lambda: models.ResNet(models.resnet.BasicBlock, [1, 1, 1, 2], num_classes=2),
        "efficientnet": lambda: models.EfficientNet(
            [FusedMBConvConfig(2, 3, 2, 8, 8, 1), MBConvConfig(2, 3, 2, 8, 16, 2)], 0.2, num_classes=2, last_channel=24
        ),
        "convnext": lambda: models.ConvNeXt(
            [models.convnext.CNBlockConfig(8, 16, 1), models.convnext.CNBlockConfig(16, None, 2)],
            layer_scale=0.5,
            num_classes=2,
        ),
        "vit": lambda: models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=2),
        "swin": lambda: models.SwinTransformer([4, 4], 16, [1, 1], [2, 2], [4, 4], num_classes=2),
        "mobilenet": lambda: torch.nn.Sequential(
            ops.Conv2dNormActivation(3, 8, stride=2, activation_layer=torch.nn.ReLU6),
            ops.Conv2dNormActivation(8, 12, stride=2, activation_layer=torch.nn.ReLU6),
            torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(),
            torch.nn.Linear(12, 2),
        ),
    }

    def factory(name: str) -> Callable[[], torch.nn.Module]:
        def build() -> torch.nn.Module:
            with torch.random.fork_rng():
                torch.manual_seed(3)
                network = made[name]()
                for module in network.modules():
                    if isinstance(module, torch.nn.BatchNorm2d):
                        # a network fresh from initialisation has trivial normalisation, in which mistakes do not show
                        module.running_mean.normal_(0, 0.1)
                        module.running_var.uniform_(0.5, 1.5)
                for parameter in network.parameters():
                    if not parameter.any():
                        torch.nn.init.normal_(parameter, 0, 0.05)
            return network

        return build

    module = ModuleType("tiny_networks_of_tests")
    for name in made:
        setattr(module, name, factory(name))
    sys.modules[module.__name__] = module
    yield lambda name: f"python:{module.__name__}:{name}"
    del sys.modules[module.__name__]


# --- a bucket on this machine that misbehaves as told, for fetching and its command ---

MEGABYTE = 2**20


@dataclass
class Bucket:
    """What the server holds, how it fails, and what it was asked."""

    files: dict = field(default_factory=dict)
    url: str = ""
    page_size: int = 1000
    drops: dict = field(default_factory=dict)  # key: bytes after which each following request is cut off
    failures: dict = field(default_factory=dict)  # key: status of each following request
    refused: dict = field(default_factory=dict)  # key: status of every request
    ranges: bool = True
    conditions: bool = True  # If-Range is heeded
    marks: bool = True  # ETags
    lengths: bool = True  # Content-Length
    etags: dict = field(default_factory=dict)  # key: another ETag than the MD5
    before: object = str  # called with the key before each answer
    asked: list = field(default_factory=list)  # (key, Range)

    def etag(self, key):
        return self.etags.get(key, hashlib.md5(self.files[key], usedforsecurity=False).hexdigest())

    def loads(self, key):
        return [asked for asked, _ in self.asked if asked == key]

    def failure(self, key):
        if self.failures.get(key):
            return self.failures[key].pop(0)
        return self.refused.get(key, 404 if key and key not in self.files else None)

    def listing(self, prefix, token):
        keys = sorted(key for key in self.files if key.startswith(prefix))
        start = int(token or 0)
        page = keys[start : start + self.page_size]
        more = start + self.page_size < len(keys)
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><ETag>&quot;{self.etag(key)}&quot;</ETag>"
            f"<Size>{len(self.files[key])}</Size></Contents>"
            for key in page
        )
        following = f"<NextContinuationToken>{start + self.page_size}</NextContinuationToken>" if more else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{following}{entries}</ListBucketResult>"
        ).encode()


def handler_of(bucket):  # noqa: C901  (a class made for one bucket)
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            split = urlsplit(self.path)
            key, query = unquote(split.path.lstrip("/")), parse_qs(split.query)
            asked = self.headers.get("Range")
            bucket.asked.append((key, asked))
            bucket.before(key)
            status = bucket.failure(key)
            if status is not None:
                self.answer(status, b"no", {})
            elif not key:
                self.answer(200, bucket.listing(query["prefix"][0], query.get("continuation-token", [None])[0]), {})
            else:
                self.send_file(key, asked)

        def send_file(self, key, asked):
            content, mark = bucket.files[key], f'"{bucket.etag(key)}"'
            headers = {"ETag": mark} if bucket.marks else {}
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            changed = bucket.conditions and self.headers.get("If-Range") != mark
            if not asked or not bucket.ranges or changed:
                self.answer(200, content, headers, key)
            elif start >= len(content):
                self.answer(416, b"", headers)
            else:
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
                self.answer(206, content[start:], headers, key)

        def answer(self, status, body, headers, key=""):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if bucket.lengths:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if bucket.drops.get(key):
                body = body[: bucket.drops[key].pop(0)]
                self.close_connection = True
            if not bucket.lengths:
                self.close_connection = True
            with suppress(ConnectionError):  # refused by the other side
                self.wfile.write(body)

    return Handler


class Server(ThreadingHTTPServer):
    """Silent about a client that hangs up, which is what some tests make it do."""

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@pytest.fixture
def bucket(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    content = Bucket()
    server = Server(("127.0.0.1", 0), handler_of(content))
    content.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield content
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def hasty():
    """Retries without waiting."""
    return Retries(tries=3, wait_s=0.0, timeout_s=5.0)


@pytest.fixture
def camelyon(bucket):
    """Slides of a megabyte and a bit, with the checksums that CAMELYON16 publishes."""
    names = ["normal_001", "normal_002", "normal_003", "test_001", "test_002", "test_003", "tumor_001", "tumor_002"]
    outlined = ["test_002", "tumor_001", "tumor_002", "tumor_010"]
    for number, name in enumerate([*names, "tumor_010"]):
        bucket.files[f"CAMELYON16/images/{name}.tif"] = bytes([number]) * (MEGABYTE + 100 * number)
        bucket.files[f"CAMELYON16/masks/{name}_mask.tif"] = b"mask"
    for name in outlined:
        bucket.files[f"CAMELYON16/annotations/{name}.xml"] = f"<ASAP_Annotations name='{name}'/>".encode()
    sums = [
        f"{hashlib.md5(content, usedforsecurity=False).hexdigest()} *{key.removeprefix('CAMELYON16/')}"
        for key, content in bucket.files.items()
    ]
    bucket.files["CAMELYON16/checksums.md5"] = "\n".join(sums).encode()
    bucket.files["CAMELYON16/images/"] = b""
    bucket.files["CAMELYON16/README.md"] = b"CC0"
    return bucket


@pytest.fixture(scope="session")
def old_keys():
    """Names the tensors of a DenseNet as its published files do."""

    def renamed(state):
        """Name tensors as the published files do: "norm.1" where today's module is "norm1"."""
        old = {}
        for key, value in state.items():
            if key.endswith("num_batches_tracked"):
                continue
            head, dot, tail = key.rpartition("denselayer")
            number, _, rest = tail.partition(".")
            for name in ("norm", "relu", "conv"):
                rest = rest.replace(f"{name}1.", f"{name}.1.").replace(f"{name}2.", f"{name}.2.")
            old[f"{head}{dot}{number}.{rest}" if dot else key] = value
        return old

    return renamed


@pytest.fixture(scope="session")
def compiled() -> Callable[[Path], str]:
    """Compiles a run's folder ``paper`` as it is, returns what LaTeX noted of its labels, and leaves no file behind.

    Where there is no LaTeX, the test is skipped and says so.
    """
    commands = {"pdflatex": ["-interaction=nonstopmode", "-halt-on-error"], "tectonic": ["--keep-intermediates"]}
    found = next((name for name in commands if shutil.which(name)), None)
    if found is None:
        pytest.skip("paper/main.tex was NOT compiled: neither pdflatex nor tectonic is installed")

    def compile_main(paper: Path) -> str:
        before = set(paper.iterdir())
        try:
            done = subprocess.run([found, *commands[found], "main.tex"], cwd=paper, capture_output=True, check=False)
            assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
            assert (paper / "main.pdf").stat().st_size > 0
            return (paper / "main.aux").read_text(encoding="utf-8")
        finally:
            for made in set(paper.iterdir()) - before:
                made.unlink()

    return compile_main


@pytest.fixture
def heads_of() -> Callable[..., list[Any]]:
    """Give copies of a network other heads: the network itself comes first."""
    import torch  # noqa: PLC0415  (most tests need no torch)

    def made(first: Any, n: int) -> list[Any]:
        networks = [first]
        for seed in range(1, n):
            other, random = copy.deepcopy(first), torch.Generator().manual_seed(seed)
            for name, value in other.named_parameters():
                if name.startswith(first.head):
                    value.data += torch.randn(value.shape, generator=random)
            networks.append(other)
        return [one.eval().requires_grad_(requires_grad=False) for one in networks]

    return made
