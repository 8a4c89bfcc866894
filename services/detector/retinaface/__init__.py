"""RetinaFace: network, checkpoints, priors, decoding and the CPU engine."""
