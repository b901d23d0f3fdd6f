"""What all pages share: shell, words, pictures and plots."""
