"""Video that is drawn anew in every frame, with the steady footage it was drawn after: holding it, measured."""
