"""What the evaluators share: judging, blessing, and the shell of their reports."""
