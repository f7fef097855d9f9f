"""Work for the pages of single work items: in any state, with data of any kind."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from html import unescape
from typing import Any
from urllib.parse import urlencode

import attrs

from roost_core import Settings, Snapshot, SyncRoost
from roost_core.backend import Beat, Claim, ClaimRequest, Commit, Failure, Finish, GoOn
from roost_core.codec.records import encode_model
from roost_core.codec.snapshots import encode_snapshot
from roost_core.models import Artifact, ErrorRecord, Heartbeat, WorkerInfo
from tests.consoles import Reply, Site, console_here, plugins_of


@attrs.define(eq=False)
class Items:
    """A queue, and a console on it."""

    site: Site
    roost: SyncRoost
    commits: int = 0

    def new(self, work_id: str, payload: Any = None, **fields: Any) -> str:
        """Enqueue work for an engine that no worker has; return its id."""
        return self.roost.enqueue(
            "none", payload, work_id=work_id, any_engine=True, **fields
        ).work_id

    def claim(self, work_id: str, ttl_ms: int = 60_000) -> Claim:
        """Lease work; all else that is ready must be leased, too."""
        request = ClaimRequest("worker-1", ("none",), limit=50, lease_ttl_ms=ttl_ms)
        batch = self.roost.run(lambda roost: roost.ledger.claim(request))
        (found,) = (one for one in batch.claims if one.lease.work_id == work_id)
        return found

    def step(
        self,
        claim: Claim,
        data: Any,
        artifacts: Sequence[Artifact] = (),
        *,
        done: bool = False,
        events: Sequence[bytes] = (),
    ) -> None:
        """Let a step be accepted."""
        self.commits += 1
        work_id = claim.lease.work_id
        version = self.roost.work(work_id).row().meta.version
        snapshot = Snapshot(
            work_id,
            "none",
            version + 1,
            "read",
            data,
            artifacts=tuple(artifacts),
            is_finished=done,
        )
        then = Finish() if done else GoOn()
        commit = Commit(
            f"c{self.commits}", version, encode_snapshot(snapshot), "read", then, tuple(events)
        )
        self.roost.run(lambda roost: roost.ledger.commit(claim.lease, commit))

    def fail(self, claim: Claim, message: str, traceback: str | None = None) -> None:
        """Let a step fail for good."""
        self.commits += 1
        error = encode_model(ErrorRecord("permanent", message, "Broken", traceback))
        failure = Failure(f"f{self.commits}", error, permanent=True, delay_ms=0)
        self.roost.run(lambda roost: roost.ledger.fail(claim.lease, failure))

    def beat(self, claim: Claim, heartbeat: Heartbeat) -> None:
        """Send what an engine says while its step runs."""
        one = Beat(claim.lease.work_id, claim.lease.token, encode_model(heartbeat))
        at = claim.lease.expires_at
        info = WorkerInfo("worker-1", "host-a", 7, ("none",), 1, 60.0, "0", at)

        async def renew(roost: Any) -> None:
            renewer = roost.ledger.renewer()
            try:
                await asyncio.to_thread(renewer.renew, encode_model(info), [one], 60_000)
            finally:
                renewer.close()

        self.roost.run(renew)

    def artifact(self, work_id: str, data: bytes, **fields: Any) -> Artifact:
        """Store an artifact."""
        return self.roost.run(
            lambda roost: asyncio.to_thread(roost.store.put, data, work_id=work_id, **fields)
        )

    def poke(self, work_id: str, record: bytes) -> None:
        """Put bytes in the place of a work item's record."""

        async def put(roost: Any) -> None:
            await roost.ledger.client.hset(roost.ledger.keys.key("work"), work_id, record)

        self.roost.run(put)

    def page(self, work_id: str) -> str:
        """Return a page, which has to be there."""
        found = self.site.get(f"/work/{work_id}")
        assert 200 == found.status, found.text
        return found.text

    def fields(self, work_id: str, verb: str) -> dict[str, str]:
        """Return what a verb's form on the page sends along."""
        form = re.search(rf'action="[^"]*/{verb}".*?</form>', self.page(work_id), re.DOTALL)
        assert form is not None
        hidden = re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', form[0])
        return dict(hidden)

    def use(self, work_id: str, verb: str, form: Mapping[str, str], **headers: Any) -> Reply:
        """Send a verb's form."""
        return self.site.post(f"/work/{work_id}/{verb}", urlencode(form).encode(), **headers)

    def told(self, reply: Reply) -> str:
        """Return what the page says that a verb's answer leads to."""
        assert 303 == reply.status, reply.text
        path = reply.headers["location"].removeprefix(self.site.origin)
        page = self.site.get(path).text
        banner = re.search(r'<div class="told"[^>]*>(?:(?!</div>).)*</div>', main(page), re.DOTALL)
        return "" if banner is None else words(banner[0])


@contextlib.contextmanager
def items_on(settings: Settings, **own: Any) -> Iterator[Items]:
    """Give a console in this process, with a reader who is signed in, and its queue.

    :param own: settings of the console.
    """
    with (
        SyncRoost.connect(settings, plugins=plugins_of()) as roost,
        console_here(settings, **own) as site,
    ):
        yield Items(site.sign_in(), roost)


def main(page: str) -> str:
    """Return the part of a page that is its own."""
    return page.partition("<main")[2]


def words(html: str) -> str:
    """Return the text of HTML, on one line."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())
