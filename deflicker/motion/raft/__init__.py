"""RAFT (Teed and Deng, ECCV 2020): the optical flow network."""
