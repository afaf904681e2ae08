"""What a trained run is asked for: lines as they are wanted, scores, a line spelled out, what may follow.

Nothing here prints: the command line and the page show what comes, each in its way (see `listener`).
"""
