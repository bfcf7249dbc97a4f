"""Files for other runtimes: end-to-end models, quantisation, formats, and the comparison."""
