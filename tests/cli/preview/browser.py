"""A real browser without a window, driven through the pipe of Chrome's DevTools protocol. Nothing to install for it."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """One page. `run` evaluates JavaScript in it."""

    def __init__(self, address: str, *, width: int = 1000, height: int = 1150) -> None:
        assert CHROMIUM is not None
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--hide-scrollbars"]
        options += [f"--window-size={width},{height}", f"--user-data-dir={self._folder.name}"]
        # The protocol's pipe is descriptors 3 and 4.
        script = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, CHROMIUM, *options, address],
            pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self._number, self._rest, self._session = 0, b"", None
        page = self._page(address)
        self._session = self._ask("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]

    def _page(self, address: str) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for target in self._ask("Target.getTargets")["targetInfos"]:
                if target["type"] == "page" and target["url"] == address:
                    return str(target["targetId"])
            time.sleep(0.1)
        raise AssertionError(f"the browser has not opened {address}")

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._rest:
                assert select.select([self._in], [], [], 60)[0], f"no answer to {method}"
                block = os.read(self._in, 1 << 20)
                assert block, "the browser has ended"
                self._rest += block
            text, self._rest = self._rest.split(b"\0", 1)
            answer = json.loads(text)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])

    def run(self, code: str) -> Any:
        """The value of an expression, awaited where it is a promise."""
        given = {"expression": code, "awaitPromise": True, "returnByValue": True, "userGesture": True}
        answer = self._ask("Runtime.evaluate", **given)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, code: str, seconds: float = 300) -> Any:
        """Wait until an expression is true."""
        deadline = time.monotonic() + seconds
        while not (value := self.run(code)):
            assert time.monotonic() < deadline, f"never true: {code}"
            time.sleep(0.1)
        return value

    def screenshot(self, path: Path) -> None:
        """What a viewer would see, as PNG."""
        path.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot")["data"]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)
        self._folder.cleanup()
