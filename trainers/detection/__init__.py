"""Object detectors (arXiv 1512.02325, 1506.01497, 1611.10012), a room a step.

Images come in through `inputs`. `feature_extractors` look at them, filled from
`tf1_checkpoints` or elsewhere; `meta_architectures` make boxes of what they see, by the
`geometry` of boxes, and learn by what `training` asks. `run_fn` is the whole training,
`held_out` its measure, `exports` its end. `running` runs what was exported, behind the
`detector`; `results` and `ensembles` are what becomes of its answers.
`released_detectors` were trained elsewhere, and are exported as ours are.
"""
