"""An issuer of tokens as the gateway sees it: a server that publishes keys, and can fail to."""

from __future__ import annotations

import json
import threading
from typing import Any

from tests.support.tokens import Signer
from tests.support.upstreams import Conversation, ScriptedUpstream


class IssuerServer:
    """Publishes the keys of `signers` at every address but `/api/jwks/none/`.

    `asked` are the addresses that it was asked for. Told to be `is_down` it breaks off every request, told
    to be `is_stalled` it answers none until it is let go.
    """

    def __init__(self, *signers: Signer) -> None:
        self.signers = list(signers)
        self.asked: list[str] = []
        self.is_down = False
        self._may_answer = threading.Event()
        self._may_answer.set()
        self._upstream = ScriptedUpstream().serve(self._play)
        self.url = self._upstream.url

    def settings(self, **more: object) -> dict[str, Any]:
        """It as an issuer of the gateway, with one set of keys for each tenant."""
        return {
            "algorithms": ["RS256"],
            "jwks_url": f"{self.url}/api/jwks/{{tenant_id}}/",
            "claim_patterns": {"tenant_id": "[a-z0-9-]{1,32}"},
            **more,
        }

    def stall(self) -> None:
        """Answer nobody from now on."""
        self._may_answer.clear()

    def let_go(self) -> None:
        """Answer everybody who waits, and who comes."""
        self._may_answer.set()

    def stop(self) -> None:
        """End it; fails if a connection went wrong."""
        self.let_go()
        self._upstream.stop()

    def _play(self, conversation: Conversation) -> None:
        while True:
            head, _ = conversation.read_request()
            target = head.start.split(" ")[1]
            self.asked.append(target)
            if self.is_down:
                return
            self._may_answer.wait(60)
            if target == "/api/jwks/none/":
                conversation.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                continue
            document = json.dumps({"keys": [signer.jwk() for signer in self.signers]}).encode()
            conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(document), document))
