"""Files that work without us: a trained model as one page, one header of C, one module of Python, or ONNX."""
