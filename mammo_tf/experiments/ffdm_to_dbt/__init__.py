"""Table 2 and Figures 1 to 3 of the paper on adapting a patch model from mammograms to tomosynthesis (method A).

The paper's title and authors are not on its pages as we have them; its abstract begins "Mammography-based screening has
helped reduce the breast cancer mortality rate". METHODS, section A, has it exactly.
"""
