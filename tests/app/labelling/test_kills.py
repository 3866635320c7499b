"""The labelling server killed with SIGKILL at random moments, while a page saves without a pause."""

import http.client
import json
import os
import random
import subprocess
import sys
import threading
import time
import urllib.request
from uuid import uuid4

import pytest

from repvit_sam.app.main import free_port

from ...processes import KILLS, Killer
from .conftest import PHOTO_HW, rectangle

COMMAND = [sys.executable, "-c", "from repvit_sam.cli import main; main()", "label"]


class Page:
    """Sends the labels of photos, and sends them again where no answer came, as the page's own scripts do."""

    def __init__(self, port):
        self._url = f"http://127.0.0.1:{port}"
        self._component = None
        self.revisions, self.ids, self.unanswered, self.answered = {}, {}, {}, {}

    def is_there(self):
        try:
            urllib.request.urlopen(self._url, timeout=1).close()
        except (OSError, http.client.HTTPException):
            return False
        return True

    def _post(self, function, request):
        if self._component is None:
            with urllib.request.urlopen(f"{self._url}/config", timeout=10) as response:
                components = json.load(response)["components"]
            self._component = next(c["id"] for c in components if c["props"].get("elem_id") == "repvit-sam")
        body = {"data": request, "component_id": self._component, "fn_name": function, "session_hash": "x"}
        post = urllib.request.Request(
            f"{self._url}/gradio_api/component_server/", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(post, timeout=10) as response:
            return json.load(response)

    def save(self, photo, rles):
        """One change; False where no answer came, and then it may be on the disk or not."""
        change = uuid4().hex
        layers = [
            {"annotation": known, "category": 1, "rle": rle}
            for known, rle in zip([*self.ids.get(photo, []), *[None] * len(rles)], rles, strict=False)
        ]
        try:
            answer = self._post(
                "save_labels",
                {
                    "name": f"{photo}.jpg",
                    "revision": self.revisions.get(photo, ""),
                    "change": change,
                    "unanswered": self.unanswered.get(photo, []),
                    "state": "in work",
                    "layers": layers,
                },
            )
        except (OSError, http.client.HTTPException, ValueError) as error:
            if not isinstance(getattr(error, "reason", None), ConnectionRefusedError):  # it may have arrived
                self.unanswered.setdefault(photo, []).append(change)
            return False
        assert "revision" in answer, answer
        self.revisions[photo], self.ids[photo] = answer["revision"], answer["annotations"]
        self.unanswered[photo], self.answered[photo] = [], rles
        return True


def labels_in(path):
    """Photo -> its masks; the file must be whole at every moment."""
    content = json.loads(path.read_text())
    names = {image["id"]: image["file_name"].removesuffix(".jpg") for image in content["images"]}
    found = {}
    for record in content["annotations"]:
        found.setdefault(names[record["image_id"]], []).append(record["segmentation"])
    assert len({record["id"] for record in content["annotations"]}) == len(content["annotations"])
    return found


@pytest.mark.kills
def test_twenty_kills_lose_no_saved_change_and_double_none(folder):
    port, chance = free_port("127.0.0.1", 25_000 + os.getpid() % 5000), random.Random(0)
    options = [str(folder), "--classes", "thing", "--port", str(port), "--checkpoint", "small", "--engine", "torch"]
    page, path = Page(port), folder / "annotations.json"
    killer = Killer([*COMMAND, *options], (0, 3), page.is_there, stdout=subprocess.DEVNULL)
    wanted, unsaved = {}, None  # masks by photo; the photo whose change has no answer
    changes = 0
    for _ in range(KILLS):
        life = threading.Thread(target=killer.life)
        life.start()
        while life.is_alive():
            photo = unsaved or chance.choice(sorted(PHOTO_HW))
            if not unsaved:
                x, y = chance.randrange(100), chance.randrange(100)
                wanted[photo] = [*wanted.get(photo, [])[-9:], rectangle(PHOTO_HW[photo], x, y, 50, 40)]
            unsaved = None if page.save(photo, wanted[photo]) else photo
            changes += unsaved is None
            time.sleep(0.1 if unsaved else 0)
        held = labels_in(path) if path.exists() else {}
        for name, rles in page.answered.items():
            assert held[name] == rles or (name == unsaved and held[name] == wanted[name])
    assert changes > KILLS
    print(f"{KILLS} kills, {changes} changes saved")
