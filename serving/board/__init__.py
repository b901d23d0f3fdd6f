"""Static pages about a model store: what is live, what there is, who moved what.

    index.html          aliases, versions, metrics over versions, the log
    versions-K.html     older versions, log-K.html older lines of the log
    version-N.html      one version beside the one in production
    board.json          which files are the board's; a folder without it is left alone

No page runs or fetches anything. The same store gives the same bytes: ages are
counted to the last change of the store, and not to the time of writing.
"""
