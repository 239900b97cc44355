"""The tables of the thesis, which the rest of this package calls by this name alone:

Sánchez Fuentes and Monsalve Durán, *System based on convolutional neural networks for breast cancer detection*,
Universidad Industrial de Santander, 2025.
"""
