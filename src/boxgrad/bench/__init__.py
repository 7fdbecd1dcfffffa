"""Side-by-side measurements of whole training steps: models, peers, probes of the machine, figures.

Read in this order: ``models`` (what is trained), ``steps`` and the ``*_peer`` files (how each library trains
it), ``peak`` and ``probe`` (how fast the machine is meanwhile), ``flops`` (how much work a step is),
``measure`` (the measurement), ``figures`` (tables, files, plots).
"""
