"""Which errors of a node another try may mend, and which it does not."""

import pytest

from hardmine.pipelines.orchestrators import node_launcher
from hardmine.schemas.config import require


def raised(call) -> Exception:
  with pytest.raises(Exception) as caught:  # noqa: PT011 - whichever it is
    call()
  return caught.value


@pytest.mark.parametrize(
  ("call", "is_refusal"),
  [
    (lambda: require(False, "a number above 0", steps=0), True),
    (lambda: int("x"), False),
    (lambda: node_launcher._node_of(None, "Trainer"), False),
  ],
  ids=["a value we refuse", "a library's ValueError", "a fault of ours"],
)
def test_only_what_we_refuse_is_a_users_mistake(call, is_refusal):
  error = raised(call)
  assert node_launcher._is_refusal(error, str(error)) is is_refusal


def test_what_beam_hands_on_as_text_counts_by_its_form():
  line = "Expected photographs behind a pattern. Received: images='nowhere/*'"
  assert node_launcher._is_refusal(RuntimeError(line), line)
  assert not node_launcher._is_refusal(RuntimeError("a worker died"), "a worker died")
