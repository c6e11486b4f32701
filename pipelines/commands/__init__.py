"""The commands of ``cxloop``, one file each; heavy imports stay inside the functions so that ``--help`` is quick."""
