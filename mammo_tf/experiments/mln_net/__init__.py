"""MLN-net and what it is compared with: Tables 1 to 3 and Figures 5, 6, 8 and 9 of its paper.

Wang et al., *MLN-net: A multi-source medical image segmentation method for clustered microcalcifications using multiple
layer normalization*.
"""
