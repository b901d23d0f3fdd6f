"""Recurrent image codecs (arXiv 1511.06085, 1608.05148), a room a step.

`cells` are the recurrent units of the `network`, whose codes `streams` hold; `entropy`
makes the bits of them fewer, and `side_chunks` are what else a photograph brings.
`training` fits a network and `exports` writes it. `running` runs what was exported,
behind the `codec`; what ships lies in `pretrained/`. `entropy_fitting` makes a codec's
entropy model of photographs. `run_fn` is the whole training as a pipeline asks for it,
`training_run` the one that goes on for days.
"""
