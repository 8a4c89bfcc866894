"""How well a deployment finds and hides the faces of an owner's own labelled pictures."""
