"""The model store: immutable numbered versions, aliases that move, a log of moves.

    versions/N/         a SavedModel as TensorFlow Serving watches it; what it was
                        judged by lies in its assets.extra/
    signatures/N/       of those whose keys vouch for a version
    aliases/NAME.json   which version a name means
    audit.jsonl         every change, in order (object stores: audit/SEQUENCE.json)

Only `pusher` imports TFX: a server and the command line use the rest.
"""
