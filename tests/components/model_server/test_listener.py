"""What a server's socket is."""

from __future__ import annotations

import socket

import pytest

from components.model_server.listener import listen


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_answers_do_not_wait_for_acknowledgements(host):
  try:
    listener = listen(host, 0)
  except OSError:
    assert host == "::1", "only IPv6 may be missing here"
    pytest.skip("no IPv6")
  with listener, socket.create_connection(listener.getsockname()[:2]):
    connection, _ = listener.accept()
    with connection:
      assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_address_that_is_taken_is_named():
  with listen("127.0.0.1", 0) as listener:
    port = listener.getsockname()[1]
    with pytest.raises(OSError, match=f"127.0.0.1:{port} cannot be listened on"):
      listen("127.0.0.1", port)
